// Command kind-kubeadm-config prints the kubeadm configuration that kind would write.
//
//	kind-kubeadm-config CLUSTER KUBERNETES-VERSION
//
// CLUSTER is decoded strictly, defaulted, validated and its patches applied, all by kind's own
// code. That is in packages named internal, which only packages below kind's path may import:
// hence the name of this module.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/kind/pkg/cluster/internal/kubeadm"
	"sigs.k8s.io/kind/pkg/internal/apis/config/encoding"
	"sigs.k8s.io/kind/pkg/internal/patch"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kind-kubeadm-config CLUSTER KUBERNETES-VERSION")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, version string) error {
	cluster, err := encoding.Load(file)
	if err != nil {
		return err
	}
	if err := cluster.Validate(); err != nil {
		return err
	}
	config, err := kubeadm.Config(kubeadm.ConfigData{
		ClusterName:          cluster.Name,
		KubernetesVersion:    version,
		ControlPlaneEndpoint: "control-plane:6443",
		APIBindPort:          6443,
		APIServerAddress:     "127.0.0.1",
		ControlPlane:         true,
		NodeAddress:          "172.18.0.2",
		NodeName:             "control-plane",
		NodeProvider:         "docker",
		Token:                "abcdef.0123456789abcdef",
		KubeProxyMode:        string(cluster.Networking.KubeProxyMode),
		PodSubnet:            cluster.Networking.PodSubnet,
		ServiceSubnet:        cluster.Networking.ServiceSubnet,
		IPFamily:             cluster.Networking.IPFamily,
	})
	if err != nil {
		return err
	}
	patched, err := patch.KubeYAML(
		config, cluster.KubeadmConfigPatches, cluster.KubeadmConfigPatchesJSON6902)
	if err != nil {
		return err
	}
	for _, node := range cluster.Nodes {
		for _, mount := range node.ExtraMounts {
			fmt.Fprintf(os.Stderr, "%s %s %t\n", mount.HostPath, mount.ContainerPath, mount.Readonly)
		}
	}
	fmt.Print(patched)
	return nil
}

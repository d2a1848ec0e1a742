// Command kubeadm-manifest writes the manifest of kube-apiserver that kubeadm would write.
//
//	kubeadm-manifest CONFIG PATCHES FOLDER
//
// CONFIG is decoded strictly, defaulted and validated, and the patches in the folder PATCHES
// (empty: none) are applied, all by kubeadm's own code. The manifest goes into FOLDER.
package main

import (
	"fmt"
	"os"

	constants "k8s.io/kubernetes/cmd/kubeadm/app/constants"
	"k8s.io/kubernetes/cmd/kubeadm/app/phases/controlplane"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/config"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: kubeadm-manifest CONFIG PATCHES FOLDER")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(configFile, patches, folder string) error {
	content, err := os.ReadFile(configFile)
	if err != nil {
		return err
	}
	// Older versions of the configuration are good for kubeadm, with a warning.
	if err := config.ValidateConfig(content, true, false); err != nil {
		return err
	}
	decoded, err := config.BytesToInitConfiguration(content, true)
	if err != nil {
		return err
	}
	return controlplane.CreateStaticPodFiles(
		folder, patches, &decoded.ClusterConfiguration, &decoded.LocalAPIEndpoint, false,
		constants.KubeAPIServer,
	)
}

// Command talos-machine-config prints a control-plane node's configuration with patches in it.
//
//	talos-machine-config PATCH...
//
// The configuration is generated, the patches are loaded and applied, and the result is
// validated as that of a machine, all by Talos' own machinery.
package main

import (
	"fmt"
	"os"

	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
)

// metal is the mode in which Talos validates what it is to be installed with.
type metal struct{}

func (metal) String() string        { return "metal" }
func (metal) RequiresInstall() bool { return true }
func (metal) InContainer() bool     { return false }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(files []string) error {
	input, err := generate.NewInput(
		"check", "https://192.0.2.10:6443", "1.33.0", generate.WithInstallDisk("/dev/sda"))
	if err != nil {
		return err
	}
	base, err := input.Config(machine.TypeControlPlane)
	if err != nil {
		return err
	}
	patches := make([]configpatcher.Patch, 0, len(files))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		patch, err := configpatcher.LoadPatch(content)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		patches = append(patches, patch)
	}
	output, err := configpatcher.Apply(configpatcher.WithConfig(base), patches)
	if err != nil {
		return err
	}
	patched, err := output.Config()
	if err != nil {
		return err
	}
	warnings, err := patched.Validate(metal{})
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(os.Stderr, warning)
	}
	printed, err := patched.EncodeBytes(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(printed)
	return err
}

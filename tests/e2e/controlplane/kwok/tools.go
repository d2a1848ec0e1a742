//go:build tools

// Package tools names kwok, which stands apart: it pins other versions of the same libraries.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

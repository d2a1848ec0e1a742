"""The distributions of Kubernetes that Tocsin can connect, one module each."""

from typing import Final, Literal

from tocsin.connect.distributions.base import Distribution
from tocsin.connect.distributions.k3s import K3s
from tocsin.connect.distributions.kind import Kind
from tocsin.connect.distributions.kubeadm import Kubeadm
from tocsin.connect.distributions.minikube import Minikube
from tocsin.connect.distributions.rke2 import Rke2
from tocsin.connect.distributions.talos import Talos

DistributionName = Literal["kubeadm", "minikube", "kind", "k3s", "rke2", "talos"]

DISTRIBUTIONS: Final[dict[str, Distribution]] = {
    distribution.name: distribution
    for distribution in (Kubeadm(), Minikube(), Kind(), K3s(), Rke2(), Talos())
}

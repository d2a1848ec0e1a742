"""The steps of distributions whose nodes one reaches by ssh: copy, try out, remove."""

from tocsin.connect.connection import Connection
from tocsin.connect.distributions.base import Plan
from tocsin.connect.wording import Step, commands, text

# Stands in commands where no --node named one.
SOME_NODE = "NODE"


def hosts(connection: Connection) -> tuple[str, ...]:
    """Return the nodes as ssh is called with them."""
    return connection.named_nodes or (SOME_NODE,)


def copy_step(connection: Connection) -> Step:
    """Return the step that brings the files to every node."""
    unnamed = f"Put the address of your control-plane node in place of {SOME_NODE}."
    lines = [
        line
        for node, host in zip(connection.nodes, hosts(connection), strict=True)
        for line in copy_commands(connection, node, host)
    ]
    return Step(
        "Copy the files to every control-plane node",
        text("" if connection.named_nodes else unnamed, commands(*lines)),
    )


def copy_commands(connection: Connection, node: str, host: str) -> list[str]:
    """Return the commands for one node, to be called in the bundle."""
    folder = connection.paths.config_dir
    return [
        f"ssh root@{host} install -d -m 0700 {folder}",
        f"scp policy.yaml ca.crt {' '.join(connection.credential_files)} root@{host}:{folder}/",
        f"scp {connection.kubeconfig_name(node)} root@{host}:{connection.paths.webhook}",
    ]


def copy_line(plan: Plan) -> str:
    """Return the commands for the first node as one line, from any folder."""
    connection = plan.connection
    copying = copy_commands(connection, connection.nodes[0], hosts(connection)[0])
    return " && ".join([f"cd {plan.sources.out.resolve()}", *copying])


def try_step(connection: Connection) -> Step:
    """Return the step that tries the connection before an API server depends on it."""
    return Step(
        "Try the connection from a node",
        text(
            "On the node, before the API server is touched; it must print 200:",
            post_command(connection, connection.paths.config_dir),
            ANSWERS,
        ),
    )


ANSWERS = (
    "401 or 403: Tocsin does not know this credential, it runs on another data folder. A "
    "certificate problem: the name in the URL is not in Tocsin's certificate, run setup "
    "with that name. No connection: a firewall, or Tocsin listens on 127.0.0.1 only."
)


def post_command(connection: Connection, folder: str, prefix: str = "") -> str:
    """Return the command that posts an empty batch with the credential in `folder`."""
    credential = (
        f'--header "Authorization: Bearer $(cat {folder}/token)"'
        if connection.credential == "token"
        else f"--cert {folder}/client.crt --key {folder}/client.key"
    )
    return commands(
        f"{prefix}curl --cacert {folder}/ca.crt {credential} \\",
        "  --header 'Content-Type: application/json' \\",
        '  --data \'{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[]}\' \\',
        "  --write-out '%{http_code}\\n' \\",
        f"  {connection.url(connection.nodes[0])}",
    )


def renewal(connection: Connection) -> str:
    """Return how a new credential gets to the nodes."""
    return text(
        f"Then copy {' and '.join(connection.credential_files)} to every node, as in step 2. The "
        "API servers read them again by themselves."
    )


def removal(connection: Connection) -> str:
    """Return the commands that take the files away."""
    folder = connection.paths.config_dir
    return commands(*(f"ssh root@{host} rm -r {folder}" for host in hosts(connection)))

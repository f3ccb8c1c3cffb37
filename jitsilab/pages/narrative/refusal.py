"""Why a relay refuses every permission."""

from jitsilab.call import Call
from jitsilab.pages.narrative import Story, tunnel
from jitsilab.pages.narrative.tunnel import FORBIDDEN


def cause(call: Call) -> Story:
    """Why a TURN server would refuse every permission: what fits, how sure, what else could be."""
    tunnels = tunnel.stages(call)
    refused = tunnels[tunnels["stage"] == "permission-refused"] if len(tunnels) else tunnels
    if refused.empty:
        return Story()
    story = Story()
    reasons = {int(reason) for reason in refused["reason"].dropna()}
    if reasons == {FORBIDDEN}:
        story.add(
            "What refuses a permission with a reason of {least} to {most} bytes? In coturn only one answer to this "
            "request is that long: 403 “Forbidden IP”, for a peer address that a rule of the configuration denies "
            "[[13]](#ref-13). *Inferred.*", least=FORBIDDEN - 3, most=FORBIDDEN,
        )  # fmt: skip
    story.add(
        "It fits how such a server is set up. Jitsi's package tells coturn to deny private address ranges as peers, "
        "so that nobody reaches the inside of a network through it. Behind a cloud's one-to-one NAT coturn is given "
        "the pair of its public and private address, and it maps the public one back to the private one *before* it "
        "looks at the rules. The bridge on the same host has one of these two addresses or both, and so it is refused. "
        "A line `allowed-peer-ip=` with the bridge's private address in `turnserver.conf` lets the bridge in; it also "
        "lets every TURN client reach that one address. *Inferred*: another rule of the same file would look the "
        "same on the wire. The server's configuration or its log would settle it."
    )
    return story

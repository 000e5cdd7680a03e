"""The checks of a search cluster: OpenSearch and its security plugin; Elasticsearch's names too."""

from leftopen.audit.opensearch import access, accounts, client, data, node, tls, traces
from leftopen.audit.opensearch.look import SearchLook

MODULES = (access, accounts, tls, node, client, data, traces)
"""The modules whose checks entered themselves into the list; their findings stand in this order."""
ALWAYS_BLIND = (
    "what the data mean, and whether they should be kept at all",
    "who knows a password, and where it is written down",
    "snapshots, copies and exports: where they are, and who can read them",
    "accounts that another system keeps: LDAP, SAML, OpenID, tokens, proxies",
    "the network before the server: firewalls, tunnels, other machines",
    "a fault that this list of checks does not have",
)

__all__ = ["ALWAYS_BLIND", "MODULES", "SearchLook"]

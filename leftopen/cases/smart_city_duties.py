"""Whose duty is it, the provider's or the customer's: the statements of lesson 02's quiz.

The provider rents out machines, on which the customer runs a search engine of its own; two
statements say that they are about a service managed by the provider. How the duties are divided is
our reading of what providers publish (AL3, AL7 in the claims ledger); contracts differ.
"""

from leftopen.quiz import Quiz, Statement

PROVIDER, CUSTOMER = "provider", "customer"


def duties() -> Quiz:
    """The quiz of lesson 02."""
    return Quiz((PROVIDER, CUSTOMER), STATEMENTS)


STATEMENTS = (
    Statement(
        "Keep one customer's machines from reading the memory and the disks of another's.",
        PROVIDER,
        "The customer cannot see or change what lies below its machines.",
    ),
    Statement(
        "Decide from which addresses the port of the search engine can be reached.",
        CUSTOMER,
        "The provider offers a firewall, and the customer writes its rules.",
    ),
    Statement(
        "Switch on the login of a search engine that was installed on a rented machine.",
        CUSTOMER,
        "Whoever installed it sets it up. What runs there is not the provider's to change.",
    ),
    Statement(
        "Build a managed search service in such a way that no cluster comes without a password.",
        PROVIDER,
        "In a managed service the defaults are the provider's work.",
    ),
    Statement(
        "Install the security updates of a search engine on a rented machine.",
        CUSTOMER,
        "Whoever installed it keeps it up to date. In a managed service the provider makes the "
        "updates; the customer may have to start them.",
    ),
    Statement(
        "Decide that a label of an ethnic group is not collected at all.",
        CUSTOMER,
        "Nobody else knows what the data are for. No setting of a provider repairs that decision.",
    ),
    Statement(
        "Pass on a researcher's warning, when nobody but the provider knows who the customer is.",
        PROVIDER,
        "A warning that ends at the provider's desk closes nothing.",
    ),
    Statement(
        "Tell the people whose records stood open.",
        CUSTOMER,
        "The customer collected the records, and knows whose they are.",
    ),
)

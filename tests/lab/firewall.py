"""Rules for machines that are found only by those who know where they are."""

NEVER_SPEAKS_FIRST = """
    table ip shut {
        chain output {
            type filter hook output priority 0
            udp sport 51820 ct direction original drop
        }
    }"""
"""For a node: it answers whoever speaks to it, and never speaks first, so that no peer learns its address from it."""

LETS_NOTHING_BEGIN = """
    table ip shut {
        chain forward {
            type filter hook forward priority 0
            iifname "lan" udp sport 51820 ct direction original drop
        }
    }"""
"""The same for the router of a site."""

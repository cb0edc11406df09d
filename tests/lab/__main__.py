"""`PYTHONPATH=tests python -m lab`: the reference network to look around in, until Enter is pressed."""

import shlex

from lab.network import Lab
from lab.reference import reference_mesh
from lab.tree import HOME

with Lab() as lab:
    sites = reference_mesh(lab)
    for host in [lab.operator, *(host for site in sites.values() for host in (site.gateway, site.host))]:
        print(f"{host.name:12} {shlex.join(host.tree.enter)} env HOME={HOME} bash")
    print(f"clone {lab.git.url} as the operator; press Enter to end")
    input()

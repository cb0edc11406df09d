"""The operator's page: a mesh repository in the browser of the person who keeps it. It works through `workspace`."""

"""What the nodes of the mesh say of themselves: asked over the tunnel, verified, compared."""

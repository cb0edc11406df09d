"""What keeps a mesh that is right from working on this machine: asked of the machine itself, with a way out."""

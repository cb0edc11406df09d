"""A machine that hosts a mesh repository for its nodes: over ssh, by forced commands, with the hook."""

"""DNS over the tunnel: where peers are (as wgsd has it), what they are called, and peers that call each other."""

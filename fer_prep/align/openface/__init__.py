"""OpenFace 2.x as the aligner: called through its command line, and believed in nothing that it does not prove."""

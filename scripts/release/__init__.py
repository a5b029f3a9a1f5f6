"""What is published: the same images from every build of a commit, and their proofs."""

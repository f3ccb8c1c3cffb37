"""What the sources are together: who is who, which machine serves what, whose clock says what, one timeline."""

"""`dev`: a whole deployment to develop against, which leaves nothing behind."""

"""Files: models, weights of other frameworks, pictures. A file is replaced whole or not at all."""

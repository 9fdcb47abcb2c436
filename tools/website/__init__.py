"""What the site is made of besides its pages: see mkdocs.yml."""

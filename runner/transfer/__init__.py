"""Files: moved by signed URLs, looked at for secrets before anybody else can read them."""

"""What the database keeps."""

from django.db import models


class Visit(models.Model):
    """One request to /visits."""

    version = models.CharField(max_length=40)
    at = models.DateTimeField(auto_now_add=True)

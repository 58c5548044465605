"""The pages."""

from django.urls import path
from guestbook import views

urlpatterns = [
    path("", views.index),
    path("version", views.version),
    path("healthz", views.healthz),
    path("visits", views.visits),
]

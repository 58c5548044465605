"""The pages."""

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from guestbook.models import Visit


def index(request):
    return render(request, "guestbook/index.html", {"version": settings.VERSION})


def version(request):
    return HttpResponse(f"{settings.VERSION}\n", content_type="text/plain")


def healthz(request):
    return HttpResponse("ok\n", content_type="text/plain")


def visits(request):
    Visit.objects.create(version=settings.VERSION)
    return JsonResponse({"visits": Visit.objects.count()})

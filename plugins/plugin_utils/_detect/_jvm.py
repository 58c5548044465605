# Copyright: (c) 2026, The hitless maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Java and Kotlin: Maven or Gradle, Spring Boot, Quarkus, Ktor, or a jar that can be run."""

from __future__ import annotations

import re

from ._plan import Plan, steps
from ._tree import Files
from ._versions import pinned, set_version

_JAR = ".hitless/app.jar"
_GRADLE = ("build.gradle", "build.gradle.kts")
# A framework, what gives it away, and the options that make it listen where it must.
_FRAMEWORKS = (
    ("spring-boot", "org.springframework.boot", "-Dserver.address=127.0.0.1 -Dserver.port=$PORT"),
    ("quarkus", "io.quarkus", "-Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port=$PORT"),
    ("micronaut", "io.micronaut", "-Dmicronaut.server.host=127.0.0.1 -Dmicronaut.server.port=$PORT"),
    ("ktor", "io.ktor", ""),
    ("javalin", "io.javalin", ""),
)


def detect_jvm(files: Files, distribution: str) -> Plan | None:
    """The plan of a Maven or Gradle build."""
    marker = files.first("pom.xml", *_GRADLE)
    if marker is None:
        return None
    text = files.text(marker) + files.text("gradle/libs.versions.toml")
    kotlin = "kotlin" in text or any(path.endswith(".kt") for path in files.paths)
    plan = Plan("kotlin" if kotlin else "java", toolchain=["default-jdk-headless"])
    plan.because("language", plan.language, marker)
    set_version(plan, "java", pinned(files, "java") or _declared_version(text, marker), distribution)
    name, options = next(((name, options) for name, sign, options in _FRAMEWORKS if sign in text), (None, ""))
    if name:
        plan.framework = name
        plan.because("framework", name, marker)
    plan.lockfiles = [path for path in (marker, "gradle.lockfile", "gradle/libs.versions.toml", "settings.gradle", "settings.gradle.kts") if files.has(path)]
    if marker == "pom.xml":
        _maven(files, plan)
    else:
        _gradle(files, plan, text)
    _run(plan, text, marker, options)
    return plan


def _declared_version(text: str, marker: str) -> tuple[str, str] | None:
    patterns = (
        r"<java\.version>\s*([\d.]+)",
        r"<maven\.compiler\.(?:release|source)>\s*([\d.]+)",
        r"JavaLanguageVersion\.of\((\d+)\)",
        r"jvmToolchain\((\d+)\)",
        r"sourceCompatibility\s*=\s*\D*(\d+)",
    )
    match = next((match for pattern in patterns if (match := re.search(pattern, text))), None)
    return (f">={match[1]}", marker) if match else None


def _maven(files: Files, plan: Plan) -> None:
    plan.package_manager = "maven"
    wrapper = files.has("mvnw")
    if not wrapper:
        plan.need("maven")
    plan.because("package manager", "maven", "mvnw" if wrapper else "pom.xml")
    # The repository lives in the HOME of builds and is kept there.
    plan.build = f"{'sh ./mvnw' if wrapper else 'mvn'} --batch-mode -DskipTests package"


def _gradle(files: Files, plan: Plan, text: str) -> None:
    plan.package_manager = "gradle"
    wrapper = files.has("gradlew")
    plan.because("package manager", "gradle", "gradlew" if wrapper else plan.lockfiles[0])
    if not wrapper:
        plan.need("gradle")
        plan.warn("There is no gradlew, and the gradle of the distribution is too old for most builds: run `gradle wrapper` and commit what it makes.")
    task = {"spring-boot": "bootJar", "ktor": "buildFatJar", "quarkus": "quarkusBuild"}.get(
        plan.framework or "", "shadowJar" if "shadow" in text.lower() else "build -x test"
    )
    plan.build = f"{'sh ./gradlew' if wrapper else 'gradle'} --no-daemon {task}"


def _run(plan: Plan, text: str, marker: str, options: str) -> None:
    folder = "target" if plan.package_manager == "maven" else "build/libs"
    if plan.framework == "quarkus":
        plan.web(f"java {options} -jar {'target' if plan.package_manager == 'maven' else 'build'}/quarkus-app/quarkus-run.jar", marker)
        return
    runnable = plan.framework in ("spring-boot", "micronaut", "ktor") or re.search(
        r"maven-shade-plugin|maven-assembly-plugin|<mainClass>|Main-Class|shadow|mainClass", text
    )
    if not runnable:
        plan.no_start(f"what makes the jar runnable in {marker} (a main class, or the shade or shadow plugin)")
        return
    # Of several jars the one that carries its dependencies is the largest.
    pick = f"ls -S {folder}/*.jar | grep -v -e '-plain.jar$' -e '-sources.jar$' -e '-javadoc.jar$' -e '/original-' | head -n 1"
    plan.build = steps(plan.build, "mkdir -p .hitless", f'cp "$({pick})" {_JAR}')
    plan.web(" ".join(["java", *options.split(), "-jar", _JAR]), marker)

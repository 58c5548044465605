<?php
// Every path that is no file comes here.
$version = trim(file_get_contents(__DIR__ . '/../VERSION'));
$pages = ['/' => "Hello from PHP $version\n", '/version' => "$version\n", '/healthz' => "ok\n"];
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);

header('Content-Type: text/plain');
http_response_code(isset($pages[$path]) ? 200 : 404);
echo $pages[$path] ?? "not found\n";

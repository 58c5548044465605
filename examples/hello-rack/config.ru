# A Rack app of nothing but Debian's packages: without a Gemfile, Debian's puma and ruby-rack serve it.
VERSION = File.read(File.join(__dir__, "VERSION")).strip

PAGES = {
  "/" => "Hello from Rack #{VERSION}\n",
  "/version" => "#{VERSION}\n",
  "/healthz" => "ok\n"
}.freeze

run(lambda do |env|
  body = PAGES[env["PATH_INFO"]]
  [body ? 200 : 404, { "content-type" => "text/plain" }, [body || "not found\n"]]
end)

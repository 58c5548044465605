# frozen_string_literal: true

# The smallest Rack app that says which version of it answers.
VERSION = File.read(File.join(__dir__, "VERSION")).strip

run lambda { |request|
  body = request["PATH_INFO"] == "/version" ? "#{VERSION}\n" : "hello-rack #{VERSION}\n"
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
}

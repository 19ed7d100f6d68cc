# The Homebrew formula of a release. The release workflow fills in the version and the checksum, and attaches it to the draft.
class Tercet < Formula
  desc "Run ternary language models on ordinary CPUs"
  homepage "https://github.com/tercet/tercet"
  url "https://github.com/tercet/tercet/archive/refs/tags/vVERSION.tar.gz"
  sha256 "SHA256"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", "--features", "cli", *std_cargo_args
    generate_completions_from_executable(bin/"tercet", "completions")
    system bin/"tercet", "man", man1
  end

  test do
    assert_match "Once", shell_output("#{bin}/tercet generate --greedy -n 5 \"Once upon a time\"")
  end
end

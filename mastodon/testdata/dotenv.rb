# Asks Ruby's dotenv what each file of dotenv.json means, and writes its answers
# beside the questions:
#
#   gem install dotenv -v 3.2.0
#   ruby testdata/dotenv.rb
#
# CI only reads the answers. Commands are not run: each becomes "<command>".
require "json"
require "dotenv"

abort "dotenv #{Dotenv::VERSION} is not 3.2.0" unless Dotenv::VERSION == "3.2.0"

module Dotenv::Substitutions::Command
  def self.`(_) = "<command>"
end

def answer(question)
  ENV.replace(question.fetch("env", {}))
  # Dotenv::Environment reads its file with "bom|utf-8"; so does this.
  text = question["file"].delete_prefix("\uFEFF")
  { "vars" => Dotenv::Parser.call(text) }
rescue Dotenv::FormatError
  { "error" => true }
end

path = File.join(__dir__, "dotenv.json")
cases = JSON.parse(File.read(path)).map { |c| c.slice("name", "env", "file").merge(answer(c)) }
File.write(path, "[\n#{cases.map { |c| JSON.generate(c) }.join(",\n")}\n]\n")

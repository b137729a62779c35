// Runs the built `adyton` as a user would: a child process with streams, a terminal, signals. Everything it starts carries a mark
// in its environment, so that a test can see what is left behind.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace adyton::e2e {

// Removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  // Writes a file and returns its path.
  std::string write(const std::string& name, std::string_view contents, unsigned mode = 0644) const;

 private:
  std::string path_;
};

// The payloads, built by CMake.
std::string probe();          // static
std::string dynamic_probe();  // with libraries of the cross toolchain

std::string raw_kernel();  // raw.S, an arm64 Image

std::string contents(const std::string& path);

enum class Streams : uint8_t { kPipes, kTerminal };

class Adyton {
 public:
  // Starts `adyton ARGUMENTS...`. In the shell commands that some tests use, it is "$ADYTON".
  explicit Adyton(std::vector<std::string> arguments, Streams streams = Streams::kPipes)
      : Adyton("", std::move(arguments), streams) {}
  // `sh -c SCRIPT`, with the arguments as "$@".
  static Adyton shell(const std::string& script, std::vector<std::string> arguments = {}) {
    return {script, std::move(arguments), Streams::kPipes};
  }
  ~Adyton();  // kills what still runs
  Adyton(const Adyton&) = delete;
  Adyton& operator=(const Adyton&) = delete;

  void write(std::string_view bytes);
  void close_input() { input_.reset(); }
  void close_output() { output_.reset(); }
  void resize(uint16_t rows, uint16_t columns);
  void signal(int number) const;
  [[nodiscard]] int error_stream() const { return error_.get(); }
  // Reads stdout (or the terminal) until `text` has appeared; false at end of file. What came before is kept for output().
  bool wait_for(std::string_view text);
  // Reads what comes next; false at end of file.
  bool read_more();

  // It has ended, and waits to be asked for its exit code.
  [[nodiscard]] bool ended() const;
  // Reads both streams to their ends, waits, and returns the exit code (128 + N after signal N).
  int finish();
  [[nodiscard]] const std::string& output() const { return out_; }
  [[nodiscard]] const std::string& errors() const { return err_; }

  // Processes that carry our mark, ourselves included while we run, but not the service, which outlives us by design.
  [[nodiscard]] std::vector<pid_t> processes() const;
  // Waits, bounded, until every process that carries the mark now has ended; returns how many have not.
  [[nodiscard]] size_t wait_until_gone() const;
  // Files in the TMPDIR that it was given.
  [[nodiscard]] std::vector<std::string> temporary_files() const;

 private:
  Adyton(const std::string& script, std::vector<std::string> arguments, Streams streams);
  [[nodiscard]] std::vector<pid_t> marked(bool service) const;

  TemporaryFolder temporary_;
  TemporaryFolder runtime_;  // with a virtualization service of its own, that ends with the object
  std::string mark_;
  pid_t pid_ = -1;
  UniqueFd input_, output_, error_;
  std::string out_, err_;
};

// Runs to the end with `input` as standard input.
struct Finished {
  int code = -1;
  std::string output;
  std::string errors;
};
Finished run(std::vector<std::string> arguments, std::string_view input = "");

}  // namespace adyton::e2e

// A program's command line as people read and type it: its man page, and completion scripts for shells. For programs without
// subcommands; they describe themselves once, and --help comes from the same description.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace adyton::usage {

struct Option {
  std::vector<std::string> names;  // "--out", "-o"; of an argument that is no option, "FILES"
  std::string value;  // "DIR", "FILE" and "PROGRAM" are completed as such, "cpp|ndk" as these words; empty: takes none
  std::string description;
};

struct Program {
  std::string name;
  int section = 1;  // of the manual
  std::string description;
  std::vector<std::string> forms;  // "aidlc [OPTIONS] FILE...": how it is called
  std::vector<Option> arguments;   // files
  std::vector<Option> options;
  std::string notes;
};

// Text as roff takes it: no macros at the beginning of a line, and dashes that can be copied.
std::string roff(std::string_view text);

// In man(7).
std::string manual_page(const Program& program);

// `shell`: "bash", "zsh" or "fish".
std::string completion_script(const Program& program, std::string_view shell);

// Writes NAME.SECTION, bash, zsh and fish into a folder that exists.
Result<void> write_files(const Program& program, const std::string& directory);

}  // namespace adyton::usage

// How a command is called: what `--help` and the man pages begin with.
#pragma once
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace adyton::cli {

// "cp [OPTIONS] SOURCE TARGET": the forms of a command, behind "adyton ". Of most it follows from their options and arguments;
// payloads and their arguments are not the parser's.
std::vector<std::string> usage_of(const CLI::App& command);

}  // namespace adyton::cli

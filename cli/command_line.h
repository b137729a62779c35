// The command line as CLI11 sees it: parse_command_line() (cli/options.h) reads it, and completion scripts and man pages are made from it.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace adyton::cli {

// Calls `use` with the description of the whole command line.
void describe_command_line(const std::function<void(const CLI::App&)>& use);

}  // namespace adyton::cli

// Completion scripts for shells, from the description of the command line.
#pragma once
#include <string>

namespace CLI {
class App;
}

namespace adyton::cli {

// `shell`: "bash", "zsh" or "fish". Completes commands, options, names of virtual machines, and files.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace adyton::cli

// Man pages, from the description of the command line that --help is printed from.
#pragma once
#include <map>
#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace adyton::cli {

// "adyton.1", "adyton-run.1" ...: and their contents (man(7)).
std::map<std::string, std::string> manual_pages(const CLI::App& app);

// Writes them into a folder that exists.
Result<void> write_manual(const std::string& directory);

}  // namespace adyton::cli

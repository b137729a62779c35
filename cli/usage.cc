#include "cli/usage.h"

#include <CLI/CLI.hpp>
#include <map>

namespace adyton::cli {
namespace {

const std::map<std::string, std::vector<std::string>, std::less<>> kForms = {
    {"run",
     {"run [OPTIONS] PAYLOAD [ARGS...]", "run [OPTIONS] --rootfs DIR [--] [PROGRAM [ARGS...]]",
      "run [OPTIONS] --kernel IMAGE [--initrd FILE] [--append TEXT] [--disk FILE]...",
      "run [OPTIONS] --firmware FILE [--disk FILE]..."}},
    {"create",
     {"create [OPTIONS] NAME PAYLOAD [ARGS...]", "create [OPTIONS] NAME --rootfs DIR [--] [PROGRAM [ARGS...]]",
      "create [OPTIONS] NAME --kernel IMAGE [--initrd FILE] [--append TEXT] [--disk FILE]...",
      "create [OPTIONS] NAME --firmware FILE [--disk FILE]..."}},
    {"exec", {"exec [OPTIONS] NAME [--] PROGRAM [ARGS...]"}},
    {"aidl", {"aidl [OPTIONS] INPUT..."}},
};

}  // namespace

std::vector<std::string> usage_of(const CLI::App& command) {
  if (const auto found = kForms.find(command.get_name()); found != kForms.end()) return found->second;
  std::string form = command.get_name() + " [OPTIONS]";
  for (const CLI::Option* option : command.get_options()) {
    if (!option->get_lnames().empty() || !option->get_snames().empty()) continue;
    std::string name = option->get_name();
    if (option->get_items_expected_max() > 1) name += "...";
    form += option->get_required() ? " " + name : " [" + name + "]";
  }
  return {std::move(form)};
}

}  // namespace adyton::cli

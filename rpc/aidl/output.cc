#include "rpc/aidl/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

namespace adyton::aidl {
namespace {

// Make and ninja agree on these.
std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == ' ' || c == '#' || c == '\\') out += '\\';
    if (c == '$') out += '$';
    out += c;
  }
  return out;
}

void collect_interfaces(const Declaration& declaration, std::vector<const InterfaceDeclaration*>& out) {
  if (const auto* interface = declaration.as_interface()) out.push_back(interface);
  for (const auto& nested : declaration.nested) collect_interfaces(*nested, out);
}

std::string read_existing(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

std::string dependency_rules(const std::vector<std::string>& outputs, const std::vector<std::string>& inputs, bool ninja) {
  if (outputs.empty()) return {};
  std::string out;
  for (const std::string& output : outputs) {
    // One output stands for all to ninja, which insists that it has been told of every one that is mentioned.
    if (ninja && &output != &outputs.back()) continue;
    out += out.empty() ? escaped(output) : " \\\n  " + escaped(output);
  }
  out += ':';
  for (const std::string& input : inputs) out += " \\\n  " + escaped(input);
  out += '\n';
  if (ninja) return out;
  for (const std::string& input : inputs) out += "\n" + escaped(input) + ":\n";
  return out;
}

std::string method_map(const std::vector<const Document*>& documents, const BackendOptions& options) {
  std::vector<const InterfaceDeclaration*> interfaces;
  for (const Document* document : documents) {
    for (const auto& declaration : document->declarations) collect_interfaces(*declaration, interfaces);
  }
  // Names are identifiers and descriptors printable ASCII without quotes and backslashes: nothing needs an escape.
  std::map<std::string, std::map<uint32_t, std::string>> map;
  for (const InterfaceDeclaration* interface : interfaces) {
    auto& methods = map[interface->descriptor()];
    for (const Method& method : interface->methods) methods.emplace(method.code(), method.name);
    if (options.version) methods.emplace(kFirstCallTransaction + kGetInterfaceVersionId, "getInterfaceVersion");
    if (!options.hash.empty()) methods.emplace(kFirstCallTransaction + kGetInterfaceHashId, "getInterfaceHash");
  }
  std::string out = "{";
  for (const auto& [descriptor, methods] : map) {
    out += fmt::format("{}\n  \"{}\": {{", out.size() == 1 ? "" : ",", descriptor);
    for (const auto& [code, name] : methods) out += fmt::format("{}\n    \"{}\": \"{}\"", out.back() == '{' ? "" : ",", code, name);
    out += methods.empty() ? "}" : "\n  }";
  }
  return out + (map.empty() ? "}\n" : "\n}\n");
}

Result<void> write_file(const std::string& path, const std::string& text) {
  std::error_code error;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return fail(ErrorCode::kInvalidArgument, fmt::format("cannot make {}: {}", parent.string(), error.message()));
  if (std::filesystem::is_regular_file(path, error) && std::filesystem::file_size(path, error) == text.size() && read_existing(path) == text) return {};
  // A device, a pipe or a link such as /dev/stdout is written to, not replaced.
  const auto type = std::filesystem::symlink_status(path, error).type();
  const bool replace = type == std::filesystem::file_type::regular || type == std::filesystem::file_type::not_found;
  const std::string target = replace ? fmt::format("{}.{}.tmp", path, getpid()) : path;
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (file.fail()) {
    if (replace) std::remove(target.c_str());
    return fail(ErrorCode::kPermission, fmt::format("cannot write {}", path));
  }
  if (replace && std::rename(target.c_str(), path.c_str()) != 0) {
    const auto failure = fail_errno(path);
    std::remove(target.c_str());
    return failure;
  }
  return {};
}

}  // namespace adyton::aidl

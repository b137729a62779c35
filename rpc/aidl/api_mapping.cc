#include "rpc/aidl/api_mapping.h"

#include <fmt/format.h>

namespace adyton::aidl {
namespace {

void map(const Declaration& declaration, std::string& out) {
  if (const auto* interface = declaration.as_interface()) {
    for (const Method& method : interface->methods) {
      std::string arguments;
      for (const Argument& argument : method.arguments) arguments += argument.type.to_string(false) + ",";
      out += fmt::format("{}|{}|{}|{}\n{}:{}\n", declaration.qualified_name(), method.name, arguments, method.result.to_string(false),
                         method.location.file->path(), method.location.file->position(method.location.offset).line);
    }
  }
  for (const auto& nested : declaration.nested) map(*nested, out);
}

}  // namespace

std::string api_mapping(const std::vector<const Document*>& documents) {
  std::string out;
  for (const Document* document : documents) {
    for (const auto& declaration : document->declarations) map(*declaration, out);
  }
  return out;
}

}  // namespace adyton::aidl

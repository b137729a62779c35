#include "rpc/aidl/type.h"

#include <algorithm>

#include "rpc/aidl/ast.h"

namespace adyton::aidl {

const Annotation::Parameter* Annotation::find(std::string_view parameter) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& given) { return given.name == parameter; });
  return found == parameters.end() ? nullptr : &*found;
}

std::string Annotation::string_of(std::string_view parameter) const {
  const Parameter* given = find(parameter);
  const std::string* text = given != nullptr ? given->value.get<std::string>() : nullptr;
  return text != nullptr ? *text : std::string();
}

const Annotation* Annotations::find(std::string_view name) const {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Annotation& given) { return given.name == name; });
  return found == list.end() ? nullptr : &*found;
}

Type Type::element() const {
  if (is_array()) {
    Type type = *this;
    type.dimensions.erase(type.dimensions.begin());
    return type;
  }
  Type type = arguments.front();
  type.nullable = type.nullable || nullable;
  type.nullable_heap = false;
  type.utf8_in_cpp = type.utf8_in_cpp || utf8_in_cpp;
  return type;
}

namespace {

std::string annotation_text(const Annotation& annotation) {
  std::string out = "@" + annotation.name;
  if (annotation.parameters.empty()) return out;
  out += '(';
  for (const Annotation::Parameter& parameter : annotation.parameters) {
    if (out.back() != '(') out += ", ";
    out += parameter.name + "=" + parameter.expression.to_string();
  }
  return out + ")";
}

}  // namespace

std::string Type::to_string(bool with_annotations) const {
  std::string out;
  if (with_annotations) {
    for (const Annotation& annotation : annotations.list) out += annotation_text(annotation) + " ";
  }
  out += declaration != nullptr ? declaration->qualified_name() : name;
  if (!arguments.empty()) {
    out += '<';
    for (const Type& argument : arguments) {
      if (out.back() != '<') out += ", ";
      out += argument.to_string(with_annotations);
    }
    out += '>';
  }
  for (const Dimension& dimension : dimensions) out += "[" + dimension.size_expression.to_string() + "]";
  return out;
}

}  // namespace adyton::aidl

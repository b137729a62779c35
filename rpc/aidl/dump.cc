#include "rpc/aidl/dump.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace adyton::aidl {
namespace {

constexpr std::string_view kNotice =
    "// A snapshot of an AIDL file, made by `aidlc --dumpapi`. Do not edit it: when it is a frozen version, peers rely on it, and\n"
    "// `aidlc --checkapi` compares later versions with it.\n";

std::string annotation_text(const Annotation& annotation) {
  std::vector<std::string> parameters;
  for (const Annotation::Parameter& parameter : annotation.parameters) parameters.push_back(parameter.name + "=" + parameter.expression.to_string());
  std::sort(parameters.begin(), parameters.end());
  return parameters.empty() ? "@" + annotation.name : fmt::format("@{}({})", annotation.name, fmt::join(parameters, ", "));
}

std::string annotations_text(const Annotations& annotations) {
  std::vector<std::string> texts;
  for (const Annotation& annotation : annotations.list) texts.push_back(annotation_text(annotation));
  std::sort(texts.begin(), texts.end());
  return fmt::format("{}", fmt::join(texts, " "));
}

// The type with its annotations in order.
std::string type_text(const Type& type) {
  const std::string annotations = annotations_text(type.annotations);
  return annotations.empty() ? type.to_string(false) : annotations + " " + type.to_string(false);
}

// What a reader cannot see at once, evaluated, stands behind it.
std::string expression_text(const Expression& expression, const Value& value) {
  const bool obvious = expression.is_literal() || value.get<Value::EnumValue>() != nullptr || expression.root().kind == Expression::Kind::kArray;
  std::string text = expression.to_string();
  if (obvious || !value.known()) return text;
  const std::string evaluated = value_text(value);
  // What ends the comment, or nobody reads, is left out.
  constexpr size_t kLongest = 200;
  if (evaluated.size() > kLongest || evaluated.find("*/") != std::string::npos) return text;
  return fmt::format("{} /* {} */", text, evaluated);
}

class Dumper {
 public:
  std::string take() { return std::move(out_); }

  void dump(const Declaration& declaration) {
    dump(declaration.comment);
    dump(declaration.annotations);
    const auto* interface = declaration.as_interface();
    std::string head = fmt::format("{}{} {}", interface != nullptr && interface->oneway ? "oneway " : "", declaration.kind_name(), declaration.name);
    if (!declaration.type_parameters.empty()) head += fmt::format("<{}>", fmt::join(declaration.type_parameters, ", "));
    if (const auto* unstructured = declaration.as_unstructured()) {
      if (!unstructured->cpp_header.empty()) head += fmt::format(" cpp_header \"{}\"", unstructured->cpp_header);
      if (!unstructured->ndk_header.empty()) head += fmt::format(" ndk_header \"{}\"", unstructured->ndk_header);
      if (!unstructured->rust_type.empty()) head += fmt::format(" rust_type \"{}\"", unstructured->rust_type);
      line(head + ";");
      return;
    }
    line(head + " {");
    ++depth_;
    if (interface != nullptr) {
      for (const Method& method : interface->methods) dump(method, *interface);
      dump(interface->constants);
    } else if (const auto* parcelable = declaration.as_parcelable()) {
      dump(parcelable->fields);
      dump(parcelable->constants);
    } else if (const auto* owner = declaration.as_union()) {
      dump(owner->fields);
      dump(owner->constants);
    } else if (const auto* enumeration = declaration.as_enum()) {
      for (const Enumerator& enumerator : enumeration->enumerators) dump(enumerator);
    }
    for (const auto& nested : declaration.nested) dump(*nested);
    --depth_;
    line("}");
  }

 private:
  void line(std::string_view text) {
    out_.append(2 * depth_, ' ');
    out_ += text;
    out_ += '\n';
  }

  void dump(const Comment& comment) {
    // "@Deprecated" says it itself, but the tag may have a sentence.
    if (comment.deprecated && !comment.text.empty()) {
      line("/**");
      if (comment.hidden) line(" * @hide");
      line(comment.deprecated->empty() ? " * @deprecated" : " * @deprecated " + *comment.deprecated);
      line(" */");
    } else if (comment.hidden) {
      line("/* @hide */");
    }
  }

  void dump(const Annotations& annotations) {
    const std::string text = annotations_text(annotations);
    if (!text.empty()) line(text);
  }

  void dump(const Method& method, const InterfaceDeclaration& interface) {
    dump(method.comment);
    dump(method.annotations);
    std::vector<std::string> arguments;
    for (const Argument& argument : method.arguments) {
      const std::string_view direction = !argument.direction_given                           ? ""
                                         : argument.direction == Argument::Direction::kIn    ? "in "
                                         : argument.direction == Argument::Direction::kOut ? "out "
                                                                                             : "inout ";
      arguments.push_back(fmt::format("{}{} {}", direction, type_text(argument.type), argument.name));
    }
    std::string text = fmt::format("{}{} {}({})", method.oneway && !interface.oneway ? "oneway " : "", type_text(method.result), method.name,
                                   fmt::join(arguments, ", "));
    if (method.explicit_id) text += fmt::format(" = {}", method.id);
    line(text + ";");
  }

  void dump(const std::vector<Field>& fields) {
    for (const Field& field : fields) {
      dump(field.comment);
      dump(field.annotations);
      std::string text = fmt::format("{} {}", type_text(field.type), field.name);
      if (!field.expression.empty()) text += " = " + expression_text(field.expression, field.default_value);
      line(text + ";");
    }
  }

  void dump(const std::vector<Constant>& constants) {
    for (const Constant& constant : constants) {
      dump(constant.comment);
      dump(constant.annotations);
      line(fmt::format("const {} {} = {};", type_text(constant.type), constant.name, expression_text(constant.expression, constant.value)));
    }
  }

  void dump(const Enumerator& enumerator) {
    dump(enumerator.comment);
    dump(enumerator.annotations);
    std::string text = enumerator.name;
    if (!enumerator.expression.empty()) text += " = " + expression_text(enumerator.expression, {enumerator.value});
    line(text + ",");
  }

  std::string out_;
  size_t depth_ = 0;
};

// The shortest digits that read back as the same number, with something that says it is no integer.
template <typename T>
std::string floating_text(T value, std::string_view suffix) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text.append(suffix);
}

}  // namespace

std::string value_text(const Value& value) {
  struct Printer {
    std::string operator()(std::monostate) const { return "?"; }
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int8_t i) const { return fmt::format("{}", int{i}); }
    std::string operator()(char16_t c) const { return fmt::format("'{}'", static_cast<char>(c)); }
    std::string operator()(int32_t i) const { return fmt::format("{}", i); }
    std::string operator()(int64_t i) const { return fmt::format("{}", i); }
    std::string operator()(float f) const { return floating_text(f, "f"); }
    std::string operator()(double d) const { return floating_text(d, ""); }
    std::string operator()(const std::string& text) const { return fmt::format("\"{}\"", text); }
    std::string operator()(const Value::EnumValue& e) const { return fmt::format("{}.{}", e.type->qualified_name(), e.enumerator->name); }
    std::string operator()(const std::vector<Value>& elements) const {
      std::vector<std::string> texts;
      texts.reserve(elements.size());
      for (const Value& element : elements) texts.push_back(value_text(element));
      return fmt::format("{{{}}}", fmt::join(texts, ", "));
    }
  };
  return std::visit(Printer{}, value.data);
}

std::string dump_declaration(const Declaration& declaration) {
  Dumper dumper;
  dumper.dump(declaration);
  return dumper.take();
}

std::string dump_file(const Declaration& declaration) {
  const std::string& licence = declaration.document->comment;
  std::string out(kNotice);
  // The notice of the dump that is dumped again is not a licence.
  if (!licence.empty() && licence.find("aidlc --dumpapi") == std::string::npos) {
    out += '\n' + licence;
    if (out.back() != '\n') out += '\n';
  }
  if (!declaration.package().empty()) out += fmt::format("package {};\n", declaration.package());
  return out + dump_declaration(declaration);
}

std::string dump_path(const Declaration& declaration) {
  std::string path = declaration.qualified_name();
  std::replace(path.begin(), path.end(), '.', '/');
  return path + ".aidl";
}

}  // namespace adyton::aidl

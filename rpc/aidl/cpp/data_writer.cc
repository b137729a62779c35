#include "rpc/aidl/cpp/data_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "rpc/aidl/cpp/includes.h"
#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {
namespace {

// What a list holds, or an array: down to what is neither.
const Type& innermost(const Type& type) {
  return type.kind == TypeKind::kList && !type.arguments.empty() ? innermost(type.arguments.front()) : type;
}

bool is_file_descriptor(const Type& type) { return innermost(type).kind == TypeKind::kFileDescriptor; }

bool comparable(const Declaration& declaration, std::set<const Declaration*>& seen);

bool comparable(const Type& type, std::set<const Declaration*>& seen) {
  if (type.kind == TypeKind::kFileDescriptor || type.kind == TypeKind::kParcelFileDescriptor) return false;
  if (type.declaration != nullptr && !comparable(*type.declaration, seen)) return false;
  return std::all_of(type.arguments.begin(), type.arguments.end(),
                     [&](const Type& argument) { return comparable(argument, seen); });
}

// Whether values can be compared: descriptors cannot.
bool comparable(const Declaration& declaration, std::set<const Declaration*>& seen) {
  if (!seen.insert(&declaration).second) return true;
  const auto all = [&](const std::vector<Field>& fields) {
    return std::all_of(fields.begin(), fields.end(), [&](const Field& field) { return comparable(field.type, seen); });
  };
  if (const auto* parcelable = declaration.as_parcelable()) return all(parcelable->fields);
  if (const auto* union_type = declaration.as_union()) return all(union_type->fields);
  return true;
}

bool comparable(const Declaration& declaration) {
  std::set<const Declaration*> seen;
  return comparable(declaration, seen);
}

// `name`, or if a field is called so, with underscores behind it.
std::string apart_from(const std::vector<Field>& fields, std::string name) {
  while (std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return escape(field.name) == name; })) name += '_';
  return name;
}

std::string template_head(const Declaration& declaration) {
  std::string out;
  for (const std::string& parameter : declaration.type_parameters)
    out += (out.empty() ? "template <typename " : ", typename ") + escape(parameter);
  return out.empty() ? out : out + ">";
}

constexpr char kStable[] = "adyton::rpc::ParcelableHolder::Stability::kVintf";

// A holder of stable parcelables must know that it is one; others need no initializer.
std::string initializer_of(const CppNames& names, const Field& field, const ParcelableDeclaration& parcelable) {
  const bool stable_holder = field.type.kind == TypeKind::kParcelableHolder && parcelable.vintf_stability();
  return stable_holder ? fmt::format("{{{}}}", kStable) : names.initializer(field);
}

}  // namespace

std::string member_name(const std::string& name, const Declaration& declaration) {
  static constexpr auto kData = std::to_array<std::string_view>({"write_to", "read_from", "to_string", "kDescriptor", "kStability"});
  static constexpr auto kUnion = std::to_array<std::string_view>(
      {"Tag", "Value", "tag", "get", "get_if", "set", "make", "value", "write_to", "read_from", "to_string", "kDescriptor",
       "kStability"});
  static constexpr auto kInterface =
      std::to_array<std::string_view>({"from_binder", "as_binder", "is_alive", "local", "dump", "interface_descriptor",
                                       "link_to_death", "unlink_to_death", "method_name"});
  const auto in = [&](const auto& list) { return std::find(list.begin(), list.end(), name) != list.end(); };
  bool taken = name == declaration.name;
  if (declaration.as_parcelable() != nullptr) taken = taken || in(kData);
  if (declaration.as_union() != nullptr) taken = taken || in(kUnion);
  if (declaration.as_interface() != nullptr) taken = taken || in(kInterface);
  return taken ? name + "_" : escape(name);
}

std::string form(const Type& type) {
  if (is_file_descriptor(type)) return "adyton::rpc::Form::kFileDescriptor";
  const Type& inner = innermost(type);
  Type leaf = inner;
  leaf.dimensions.clear();
  // In an optional vector or array, elements may be null anyway.
  return is_object(leaf) && inner.nullable && !type.is_array() ? "adyton::rpc::Form::kNullable" : "";
}

std::string formed(const Type& type, const std::string& expression) {
  const std::string which = form(type);
  if (which.empty()) return expression;
  return fmt::format("adyton::rpc::{}({})", which.ends_with("kNullable") ? "nullable" : "file_descriptor", expression);
}

void CppDataWriter::define_constants(const std::vector<Constant>& constants, const Declaration& declaration) {
  for (const Constant& constant : constants) {
    header_.comment(constant.comment);
    std::string type = names_.value(constant.type);
    if (constant.type.kind == TypeKind::kString) type = "std::string_view";
    if (const auto* list = constant.value.get<std::vector<Value>>()) {
      Type element = constant.type.element();
      const std::string element_type = element.kind == TypeKind::kByte
                                           ? "uint8_t"
                                           : (element.kind == TypeKind::kString ? "std::string_view" : names_.value(element));
      type = fmt::format("std::array<{}, {}>", element_type, list->size());
    }
    header_.line("{}static constexpr {} {} = {};", deprecated_attribute(constant.comment), type,
                 member_name(constant.name, declaration), names_.literal(constant.type, constant.value));
  }
  if (!constants.empty()) header_.blank();
}

void CppDataWriter::constructor(const Declaration& declaration) {
  if (declaration.parent == nullptr || !declaration.type_parameters.empty() || !needs_constructors(declaration)) return;
  header_.line("{}();", escape(declaration.name));
  header_.blank();
  source_.blank();
  source_.line("{}::{}() = default;", name_in_namespace(declaration), escape(declaration.name));
}

void CppDataWriter::open(const ParcelableDeclaration& parcelable) {
  header_.comment(parcelable.comment);
  if (const std::string head = template_head(parcelable); !head.empty()) header_.text(head);
  header_.line("struct {}{} {{", deprecated_attribute(parcelable.comment), escape(parcelable.name));
}

// What a ParcelableHolder asks of what it holds.
void CppDataWriter::identity(const Declaration& declaration) {
  header_.line("static constexpr std::string_view kDescriptor = {};", string_literal(declaration.qualified_name()));
  if (declaration.vintf_stability()) header_.line("static constexpr auto kStability = {};", kStable);
  header_.blank();
}

void CppDataWriter::members(const ParcelableDeclaration& parcelable) {
  identity(parcelable);
  constructor(parcelable);
  for (const Field& field : parcelable.fields) {
    if (!field.comment.text.empty() && &field != &parcelable.fields.front()) header_.blank();
    header_.comment(field.comment);
    const std::string head =
        deprecated_attribute(field.comment) + names_.value(field.type) + " " + member_name(field.name, parcelable);
    const std::string initializer = initializer_of(names_, field, parcelable);
    const auto* list = field.default_value.get<std::vector<Value>>();
    if (list != nullptr && !list->empty() && list->front().get<std::vector<Value>>() == nullptr &&
        initializer.starts_with(" = {")) {
      std::vector<std::string> items;
      for (const Value& value : *list) items.push_back(names_.literal(field.type, value));
      header_.list(head + " = {", items, "};");
    } else {
      header_.line("{}{};", head, initializer);
    }
  }
  if (!parcelable.fields.empty()) header_.blank();

  const bool generic = !parcelable.type_parameters.empty();
  const std::string parcel = apart_from(parcelable.fields, "parcel");
  const std::string name = escape(parcelable.name);
  if (generic) {
    define_parcelable_functions(parcelable, "", header_);
  } else {
    header_.line("adyton::rpc::Status write_to(adyton::rpc::Parcel* {}) const;", parcel);
    header_.line("adyton::rpc::Status read_from(const adyton::rpc::Parcel& {});", parcel);
    header_.text("[[nodiscard]] std::string to_string() const;");
    define_parcelable_functions(parcelable, name_in_namespace(parcelable) + "::", source_);
  }
  if (!comparable(parcelable)) return;

  const bool heap = std::any_of(parcelable.fields.begin(), parcelable.fields.end(),
                                [](const Field& field) { return field.type.nullable_heap; });
  if (!heap) {
    header_.line("bool operator==(const {}&) const = default;", name);
    return;
  }
  const std::string other = apart_from(parcelable.fields, "other");
  std::vector<std::string> terms;
  for (const Field& field : parcelable.fields) {
    const std::string member = member_name(field.name, parcelable);
    terms.push_back(field.type.nullable_heap ? fmt::format("adyton::rpc::equal({0}, {1}.{0})", member, other)
                                             : fmt::format("{0} == {1}.{0}", member, other));
  }
  std::string all = terms.front();
  for (size_t i = 1; i < terms.size(); ++i) all += " &&\n       " + terms[i];
  if (generic) {
    header_.line("bool operator==(const {}& {}) const {{ return {}; }}", name, other, fmt::join(terms, " && "));
    return;
  }
  header_.line("bool operator==(const {}& {}) const;", name, other);
  source_.blank();
  source_.line("bool {0}::operator==(const {0}& {1}) const {{", name_in_namespace(parcelable), other);
  source_.indent();
  source_.line("return {};", all);
  source_.outdent();
  source_.text("}");
}

// `out` is the header of a generic one, where these are members in place, else the .cc file.
void CppDataWriter::define_parcelable_functions(const ParcelableDeclaration& parcelable, const std::string& prefix, Writer& out) {
  std::vector<std::string> values;
  std::vector<std::string> targets;
  const std::string parcel = apart_from(parcelable.fields, "parcel");
  values.push_back(parcel);
  targets.push_back(parcel);
  for (const Field& field : parcelable.fields) {
    const std::string member = member_name(field.name, parcelable);
    values.push_back(formed(field.type, member));
    targets.push_back(formed(field.type, "&" + member));
  }
  const auto function = [&](const std::string& head, const auto& body) {
    if (!prefix.empty()) out.blank();
    out.text(head + " {");
    out.indent();
    body();
    out.outdent();
    out.text("}");
  };
  function(fmt::format("adyton::rpc::Status {}write_to(adyton::rpc::Parcel* {}) const", prefix, parcel),
           [&] { out.list("return adyton::rpc::write_structured(", values, ");"); });
  function(fmt::format("adyton::rpc::Status {}read_from(const adyton::rpc::Parcel& {})", prefix, parcel),
           [&] { out.list("return adyton::rpc::read_structured(", targets, ");"); });
  function(fmt::format("{}std::string {}to_string() const", prefix.empty() ? "[[nodiscard]] " : "", prefix), [&] {
    const std::string title = string_literal(parcelable.name);
    std::string line = fmt::format("return adyton::rpc::Description({})", title);
    std::vector<std::string> fields;
    for (const Field& field : parcelable.fields) {
      fields.push_back(fmt::format(".field({}, {})", string_literal(field.name), member_name(field.name, parcelable)));
    }
    fields.emplace_back(".str();");
    size_t length = line.size() + 8;
    for (const std::string& field : fields) length += field.size();
    if (length <= Writer::kColumns) {
      for (const std::string& field : fields) line += field;
      out.text(line);
      return;
    }
    out.text(line);
    for (const std::string& field : fields) out.text("    " + field);
  });
}

void CppDataWriter::open(const UnionDeclaration& union_type) {
  header_.comment(union_type.comment);
  header_.line("struct {}{} {{", deprecated_attribute(union_type.comment), escape(union_type.name));
}

void CppDataWriter::members(const UnionDeclaration& union_type) {
  const std::string name = escape(union_type.name);
  identity(union_type);
  header_.line("enum class Tag : {} {{", union_type.tag->backing == TypeKind::kByte   ? "int8_t"
                                         : union_type.tag->backing == TypeKind::kLong ? "int64_t"
                                                                                      : "int32_t");
  header_.indent();
  for (size_t i = 0; i < union_type.fields.size(); ++i) {
    const Field& field = union_type.fields[i];
    header_.comment(field.comment);
    std::string attribute = deprecated_attribute(field.comment);
    if (!attribute.empty()) attribute = " " + attribute.substr(0, attribute.size() - 1);
    header_.line("{}{} = {},", escape(field.name), attribute, i);
  }
  header_.outdent();
  header_.text("};");
  header_.blank();

  std::vector<std::string> types;
  for (const Field& field : union_type.fields) types.push_back(names_.value(field.type));
  header_.list("using Value = std::variant<", types, ">;");
  header_.blank();
  constructor(union_type);
  header_.text(R"([[nodiscard]] Tag tag() const { return static_cast<Tag>(value.index()); }
// What stands under kTag, which must be tag(): std::bad_variant_access if it is not.
template <Tag kTag>
[[nodiscard]] const auto& get() const { return std::get<static_cast<size_t>(kTag)>(value); }
template <Tag kTag>
[[nodiscard]] auto& get() { return std::get<static_cast<size_t>(kTag)>(value); }
// Null unless kTag is tag().
template <Tag kTag>
[[nodiscard]] const auto* get_if() const { return std::get_if<static_cast<size_t>(kTag)>(&value); }
template <Tag kTag, typename... Arguments>
void set(Arguments&&... arguments) {
  value.template emplace<static_cast<size_t>(kTag)>(std::forward<Arguments>(arguments)...);
}
template <Tag kTag, typename... Arguments>)");
  header_.line("static {} make(Arguments&&... arguments) {{", name);
  header_.indent();
  header_.line("{} made;", name);
  header_.text("made.template set<kTag>(std::forward<Arguments>(arguments)...);\nreturn made;");
  header_.outdent();
  header_.text("}");
  header_.blank();
  header_.text(R"(adyton::rpc::Status write_to(adyton::rpc::Parcel* parcel) const;
adyton::rpc::Status read_from(const adyton::rpc::Parcel& parcel);
[[nodiscard]] std::string to_string() const;)");
  if (comparable(union_type)) header_.line("bool operator==(const {}&) const = default;", name);
  header_.blank();

  std::string initializer = names_.initializer(union_type.fields.front());
  if (initializer.starts_with(" = ")) initializer = initializer.substr(3);
  if (initializer.empty() || initializer == "{}") {
    header_.text("Value value;");
  } else {
    if (initializer.starts_with('{')) initializer = types.front() + initializer;
    header_.line("Value value{{std::in_place_index<0>, {}}};", initializer);
  }
  define_union_functions(union_type);
}

void CppDataWriter::define_union_functions(const UnionDeclaration& union_type) {
  const std::string name = name_in_namespace(union_type);
  const bool plain = std::all_of(union_type.fields.begin(), union_type.fields.end(),
                                 [](const Field& field) { return form(field.type).empty(); });
  const auto function = [&](const std::string& head, const auto& body) {
    source_.blank();
    source_.text(head + " {");
    source_.indent();
    body();
    source_.outdent();
    source_.text("}");
  };
  const auto cases = [&](const auto& statement) {
    for (const Field& field : union_type.fields) source_.line("  case Tag::{}: {}", escape(field.name), statement(field));
  };
  function(fmt::format("adyton::rpc::Status {}::write_to(adyton::rpc::Parcel* parcel) const", name), [&] {
    if (plain) return source_.text("return adyton::rpc::write_union(parcel, value);");
    source_.text("parcel->write_int32(static_cast<int32_t>(tag()));\nswitch (tag()) {");
    cases([&](const Field& field) {
      return fmt::format("return adyton::rpc::write(parcel, {});",
                         formed(field.type, fmt::format("get<Tag::{}>()", escape(field.name))));
    });
    source_.text("}\nreturn adyton::rpc::Status::from_transport(adyton::rpc::TransportError::kBadValue);");
  });
  function(fmt::format("adyton::rpc::Status {}::read_from(const adyton::rpc::Parcel& parcel)", name), [&] {
    if (plain) return source_.text("return adyton::rpc::read_union(parcel, &value);");
    source_.text("int32_t which = 0;\nADYTON_RPC_TRY(adyton::rpc::read(parcel, &which));\nswitch (static_cast<Tag>(which)) {");
    cases([&](const Field& field) {
      const std::string tag = escape(field.name);
      return fmt::format("set<Tag::{0}>(); return adyton::rpc::read(parcel, {1});", tag,
                         formed(field.type, fmt::format("&get<Tag::{}>()", tag)));
    });
    source_.text(
        "}\nreturn adyton::rpc::Status::from_transport(adyton::rpc::TransportError::kBadValue, \"unknown tag of a union\");");
  });
  function(fmt::format("std::string {}::to_string() const", name), [&] {
    source_.text("switch (tag()) {");
    cases([&](const Field& field) {
      return fmt::format("return adyton::rpc::Description({}).field({}, get<Tag::{}>()).str();", string_literal(union_type.name),
                         string_literal(field.name), escape(field.name));
    });
    source_.text("}\nreturn {};");
  });
}

void CppDataWriter::define(const EnumDeclaration& enumeration) {
  header_.comment(enumeration.comment);
  const std::string_view backing = enumeration.backing == TypeKind::kByte   ? "int8_t"
                                   : enumeration.backing == TypeKind::kLong ? "int64_t"
                                                                            : "int32_t";
  header_.line("enum class {}{} : {} {{", deprecated_attribute(enumeration.comment), escape(enumeration.name), backing);
  header_.indent();
  for (const Enumerator& enumerator : enumeration.enumerators) {
    header_.comment(enumerator.comment);
    std::string attribute = deprecated_attribute(enumerator.comment);
    if (!attribute.empty()) attribute = " " + attribute.substr(0, attribute.size() - 1);
    header_.line("{}{} = {},", escape(enumerator.name), attribute, int64_literal(enumerator.value));
  }
  header_.outdent();
  header_.text("};");
}

void CppDataWriter::declare_to_string(const EnumDeclaration& enumeration, const std::string& name) {
  header_.text("// The enumerator's name; of a value that is none, its number.");
  header_.line("[[nodiscard]] std::string to_string({} value);", name);
  source_.blank();
  source_.line("std::string to_string({} value) {{", name);
  source_.indent();
  source_.text("switch (value) {");
  source_.indent();
  std::set<int64_t> seen;
  for (const Enumerator& enumerator : enumeration.enumerators) {
    if (!seen.insert(enumerator.value).second) continue;
    source_.line("case {}::{}: return {};", name, escape(enumerator.name), string_literal(enumerator.name));
  }
  source_.outdent();
  source_.text("}");
  source_.text("return std::to_string(static_cast<int64_t>(value));");
  source_.outdent();
  source_.text("}");
}

void CppDataWriter::define_values(const EnumDeclaration& enumeration, const std::string& qualified_name) {
  std::vector<std::string> values;
  std::set<int64_t> seen;
  for (const Enumerator& enumerator : enumeration.enumerators) {
    if (seen.insert(enumerator.value).second) values.push_back(qualified_name + "::" + escape(enumerator.name));
  }
  header_.text("template <>");
  header_.line("inline constexpr std::array adyton::rpc::kEnumValues<{}> = {{", qualified_name);
  for (const std::string& value : values) header_.line("    {},", value);
  header_.text("};");
}

}  // namespace adyton::aidl

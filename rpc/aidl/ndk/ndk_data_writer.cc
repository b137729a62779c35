#include "rpc/aidl/ndk/ndk_data_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "rpc/aidl/cpp/includes.h"
#include "rpc/aidl/cpp/literals.h"
#include "rpc/aidl/cpp/names.h"

namespace adyton::aidl {
namespace {

// Whether values have an order: all but those with something in them that is written by hand.
bool ordered(const Declaration& declaration, std::set<const Declaration*>& seen) {
  if (!seen.insert(&declaration).second) return true;
  if (declaration.as_unstructured() != nullptr) return false;
  const auto check = [&](const auto& self, const Type& type) -> bool {
    if (type.declaration != nullptr && !ordered(*type.declaration, seen)) return false;
    return std::all_of(type.arguments.begin(), type.arguments.end(), [&](const Type& argument) { return self(self, argument); });
  };
  const auto fields = [&](const std::vector<Field>& list) {
    return std::all_of(list.begin(), list.end(), [&](const Field& field) { return check(check, field.type); });
  };
  if (const auto* parcelable = declaration.as_parcelable()) return fields(parcelable->fields);
  if (const auto* union_type = declaration.as_union()) return fields(union_type->fields);
  return true;
}

std::string attribute_behind(const Comment& comment) {
  const std::string attribute = deprecated_attribute(comment);
  return attribute.empty() ? attribute : " " + attribute.substr(0, attribute.size() - 1);
}

std::string join(const std::vector<std::string>& items) { return fmt::format("{}", fmt::join(items, ", ")); }

}  // namespace

void NdkDataWriter::constants(const std::vector<Constant>& constants, const Declaration& declaration) {
  for (const Constant& constant : constants) {
    header_.comment(constant.comment);
    const std::string name = escape(constant.name);
    const std::string attribute = deprecated_attribute(constant.comment);
    const std::string literal = names_.literal(constant.type, constant.value);
    const Type& type = constant.type;
    if (const auto* list = constant.value.get<std::vector<Value>>()) {
      const Type element = type.element();
      const std::string element_type = element.kind == TypeKind::kByte     ? "uint8_t"
                                       : element.kind == TypeKind::kString ? "const char*"
                                                                           : names_.value(element);
      header_.line("{}static constexpr std::array<{}, {}> {} = {};", attribute, element_type, list->size(), name, literal);
    } else if (type.kind == TypeKind::kString) {
      header_.line("{}static const char* {};", attribute, name);
      source_.line("const char* {}::{} = {};", name_in_namespace(declaration), name, literal);
    } else if (type.kind == TypeKind::kByte || type.kind == TypeKind::kInt || type.kind == TypeKind::kLong) {
      header_.line("enum : {} {{ {}{} = {} }};", names_.value(type), name, attribute_behind(constant.comment), literal);
    } else {
      header_.line("{}static constexpr {} {} = {};", attribute, names_.value(type), name, literal);
    }
  }
  if (!constants.empty()) header_.blank();
}

void NdkDataWriter::open(const Declaration& declaration) {
  header_.comment(declaration.comment);
  if (!declaration.type_parameters.empty()) {
    std::vector<std::string> parameters;
    for (const std::string& parameter : declaration.type_parameters) parameters.push_back("typename " + escape(parameter));
    header_.line("template <{}>", join(parameters));
  }
  header_.line("class {}{} {{", deprecated_attribute(declaration.comment), escape(declaration.name));
  header_.text("public:");
  header_.indent();
  header_.text("typedef std::false_type fixed_size;");
  if (declaration.type_parameters.empty()) {
    header_.text("static const char* descriptor;\n");
    source_.line("const char* {}::descriptor = {};", name_in_namespace(declaration),
                 string_literal(declaration.qualified_name()));
  } else {
    header_.line("static constexpr const char* descriptor = {};", string_literal(declaration.qualified_name()));
  }
  header_.blank();
  if (declaration.as_parcelable() != nullptr && declaration.parent != nullptr && declaration.type_parameters.empty() &&
      needs_constructors(declaration)) {
    header_.line("{}();", escape(declaration.name));
    source_.line("{}::{}() = default;", name_in_namespace(declaration), escape(declaration.name));
  }
}

void NdkDataWriter::comparisons(const Declaration& declaration, const std::vector<std::string>& members) {
  std::set<const Declaration*> seen;
  if (!ordered(declaration, seen)) return;
  std::vector<std::string> theirs;
  for (const std::string& member : members) theirs.push_back("_rhs." + member);
  for (const char* comparison : {"==", "!=", "<", "<=", ">", ">="}) {
    if (members.empty()) {
      const bool holds = std::string_view(comparison).find('=') != std::string_view::npos && comparison[0] != '!';
      header_.line("inline bool operator{}(const {}&) const {{ return {}; }}", comparison, escape(declaration.name), holds);
      continue;
    }
    header_.line("inline bool operator{}(const {}& _rhs) const {{", comparison, escape(declaration.name));
    header_.indent();
    if (members.size() == 1) {
      header_.line("return {} {} {};", members[0], comparison, theirs[0]);
    } else {
      header_.list("return std::tie(", members, fmt::format(") {}", comparison));
      header_.list("       std::tie(", theirs, ");");
    }
    header_.outdent();
    header_.text("}");
  }
  header_.blank();
}

void NdkDataWriter::members(const ParcelableDeclaration& parcelable) {
  std::vector<std::string> members;
  for (const Field& field : parcelable.fields) {
    header_.comment(field.comment);
    members.push_back(escape(field.name));
    header_.line("{}{} {}{};", deprecated_attribute(field.comment), names_.value(field.type), members.back(),
                 names_.field_initializer(field, parcelable));
  }
  header_.blank();
  if (parcelable.type_parameters.empty()) {
    header_.text(
        "binder_status_t readFromParcel(const AParcel* _aidl_parcel);\nbinder_status_t writeToParcel(AParcel* _aidl_parcel) "
        "const;\n");
    header_.blank();
  }
  comparisons(parcelable, members);
  header_.line("static const ::ndk::parcelable_stability_t _aidl_stability = {};", ndk_stability(parcelable));
  if (parcelable.type_parameters.empty()) header_.text("std::string toString() const;");
  parcelable_functions(parcelable);
}

void NdkDataWriter::parcelable_functions(const ParcelableDeclaration& parcelable) {
  const bool generic = !parcelable.type_parameters.empty();
  Writer& out = generic ? header_ : source_;
  const std::string scope = generic ? "" : name_in_namespace(parcelable) + "::";
  const auto function = [&](const std::string& head, const auto& body) {
    out.blank();
    out.text(head + " {");
    out.indent();
    body();
    out.outdent();
    out.text("}");
  };
  const std::string give_up = "if (_aidl_ret_status != STATUS_OK) return _aidl_ret_status;";

  function(fmt::format("binder_status_t {}readFromParcel(const AParcel* _aidl_parcel)", scope), [&] {
    out.text(
        "const int32_t _aidl_start_pos = AParcel_getDataPosition(_aidl_parcel);\n"
        "int32_t _aidl_parcelable_size = 0;\n"
        "binder_status_t _aidl_ret_status = AParcel_readInt32(_aidl_parcel, &_aidl_parcelable_size);\n" +
        give_up +
        "\nif (_aidl_parcelable_size < 4) return STATUS_BAD_VALUE;\n"
        "if (_aidl_parcelable_size > AParcel_getDataSize(_aidl_parcel) - _aidl_start_pos) return STATUS_BAD_VALUE;\n"
        "const int32_t _aidl_end_pos = _aidl_start_pos + _aidl_parcelable_size;");
    for (const Field& field : parcelable.fields) {
      // An older writer knows fewer fields: ours keep their values.
      out.text("if (AParcel_getDataPosition(_aidl_parcel) < _aidl_end_pos) {");
      out.line("  _aidl_ret_status = {};", ndk_read(field.type, "_aidl_parcel", "&" + escape(field.name)));
      out.text("  " + give_up + "\n}");
    }
    out.text(
        "if (AParcel_getDataPosition(_aidl_parcel) > _aidl_end_pos) return STATUS_BAD_VALUE;\n"
        "return AParcel_setDataPosition(_aidl_parcel, _aidl_end_pos);");
  });

  function(fmt::format("binder_status_t {}writeToParcel(AParcel* _aidl_parcel) const", scope), [&] {
    out.text(
        "const int32_t _aidl_start_pos = AParcel_getDataPosition(_aidl_parcel);\n"
        "binder_status_t _aidl_ret_status = AParcel_writeInt32(_aidl_parcel, 0);");
    for (const Field& field : parcelable.fields) {
      out.line("if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = {};",
               ndk_write(field.type, "_aidl_parcel", escape(field.name)));
    }
    out.text(give_up +
             "\nconst int32_t _aidl_end_pos = AParcel_getDataPosition(_aidl_parcel);\n"
             "_aidl_ret_status = AParcel_setDataPosition(_aidl_parcel, _aidl_start_pos);\n"
             "if (_aidl_ret_status == STATUS_OK) _aidl_ret_status = AParcel_writeInt32(_aidl_parcel, _aidl_end_pos - "
             "_aidl_start_pos);\n" +
             give_up + "\nreturn AParcel_setDataPosition(_aidl_parcel, _aidl_end_pos);");
  });

  function(fmt::format("std::string {}toString() const", scope), [&] {
    out.line("std::string _aidl_text = {};", string_literal(parcelable.name + "{"));
    for (const Field& field : parcelable.fields) {
      const bool first = &field == &parcelable.fields.front();
      out.line("_aidl_text += {} + ::ndk::internal::ToString({});", string_literal((first ? "" : ", ") + field.name + ": "),
               escape(field.name));
    }
    out.text("return _aidl_text + \"}\";");
  });
}

void NdkDataWriter::members(const UnionDeclaration& union_type) {
  const std::string name = escape(union_type.name);
  std::vector<std::string> types;
  for (const Field& field : union_type.fields) types.push_back(names_.value(field.type));

  header_.line("enum class Tag : {} {{", ndk_backing(union_type.tag->backing));
  header_.indent();
  for (size_t i = 0; i < union_type.fields.size(); ++i) {
    header_.comment(union_type.fields[i].comment);
    header_.line("{}{} = {},", escape(union_type.fields[i].name), attribute_behind(union_type.fields[i].comment), i);
  }
  header_.outdent();
  header_.text("};\n");
  header_.text("// The tags under the names that older code has for them.");
  for (const Field& field : union_type.fields) {
    header_.line("{0}static constexpr Tag {1} = Tag::{1};", deprecated_attribute(field.comment), escape(field.name));
  }
  header_.blank();
  header_.list("typedef std::variant<", types, "> _aidl_variant;");
  header_.blank();

  std::string initializer = names_.field_initializer(union_type.fields.front(), union_type);
  if (initializer.starts_with(" = ")) initializer = initializer.substr(3);
  if (initializer.starts_with('{')) initializer = types.front() + initializer;
  header_.line("{}() : _value(std::in_place_index<0>{}) {{}}", name, initializer.empty() ? "" : ", " + initializer);
  // conjunction: whether the variant can be made of the union itself must not even be asked, its type is not complete then.
  header_.text("template <typename _Tp, typename = std::enable_if_t<std::conjunction_v<");
  header_.line("    std::negation<std::is_same<std::remove_cv_t<std::remove_reference_t<_Tp>>, {}>>,", name);
  header_.text("    std::is_constructible<_aidl_variant, _Tp>>>>");
  header_.line("constexpr {}(_Tp&& _arg) : _value(std::forward<_Tp>(_arg)) {{}}  // NOLINT(google-explicit-constructor)", name);
  header_.text("template <size_t _Np, typename... _Tp>");
  header_.line("constexpr explicit {}(std::in_place_index_t<_Np>, _Tp&&... _args)", name);
  header_.text("    : _value(std::in_place_index<_Np>, std::forward<_Tp>(_args)...) {}");
  header_.text("template <Tag _tag, typename... _Tp>");
  header_.line("static {} make(_Tp&&... _args) {{", name);
  header_.line("  return {}(std::in_place_index<static_cast<size_t>(_tag)>, std::forward<_Tp>(_args)...);", name);
  header_.text("}\ntemplate <Tag _tag, typename _Tp, typename... _Up>");
  header_.line("static {} make(std::initializer_list<_Tp> _il, _Up&&... _args) {{", name);
  header_.line("  return {}(std::in_place_index<static_cast<size_t>(_tag)>, std::move(_il), std::forward<_Up>(_args)...);", name);
  header_.text("}\n");
  header_.text(R"(Tag getTag() const { return static_cast<Tag>(_value.index()); }
// What stands under _tag, which must be getTag().
template <Tag _tag>
const auto& get() const { return std::get<static_cast<size_t>(_tag)>(_value); }
template <Tag _tag>
auto& get() { return std::get<static_cast<size_t>(_tag)>(_value); }
template <Tag _tag, typename... _Tp>
void set(_Tp&&... _args) { _value.template emplace<static_cast<size_t>(_tag)>(std::forward<_Tp>(_args)...); }

binder_status_t readFromParcel(const AParcel* _aidl_parcel);
binder_status_t writeToParcel(AParcel* _aidl_parcel) const;
)");
  header_.blank();
  comparisons(union_type, {"_value"});
  header_.line("static const ::ndk::parcelable_stability_t _aidl_stability = {};", ndk_stability(union_type));
  header_.text("std::string toString() const;");
  header_.blank();
  header_.outdent();
  header_.text("private:");
  header_.indent();
  header_.text("_aidl_variant _value;");
  union_functions(union_type);
}

void NdkDataWriter::union_functions(const UnionDeclaration& union_type) {
  const std::string name = name_in_namespace(union_type);
  const auto cases = [&](const auto& statement) {
    for (const Field& field : union_type.fields) source_.line("    case Tag::{}: {}", escape(field.name), statement(field));
  };
  source_.blank();
  source_.line("binder_status_t {}::readFromParcel(const AParcel* _aidl_parcel) {{", name);
  source_.text(
      "  int32_t _aidl_tag = 0;\n"
      "  binder_status_t _aidl_ret_status = AParcel_readInt32(_aidl_parcel, &_aidl_tag);\n"
      "  if (_aidl_ret_status != STATUS_OK) return _aidl_ret_status;\n"
      "  switch (static_cast<Tag>(_aidl_tag)) {");
  for (const Field& field : union_type.fields) {
    const std::string tag = escape(field.name);
    const bool holder = field.type.kind == TypeKind::kParcelableHolder && !field.type.is_array() && !field.type.nullable;
    source_.line("    case Tag::{}: {{", tag);
    source_.line("      {}", names_.variable(field.type, "_aidl_value", union_type));
    source_.line("      _aidl_ret_status = {};", ndk_read(field.type, "_aidl_parcel", "&_aidl_value"));
    source_.line("      if (_aidl_ret_status == STATUS_OK) set<Tag::{}>({});", tag,
                 is_scalar(field.type) || holder ? "_aidl_value" : "std::move(_aidl_value)");
    source_.text("      return _aidl_ret_status;\n    }");
  }
  source_.text("  }\n  return STATUS_BAD_VALUE;\n}");

  source_.blank();
  source_.line("binder_status_t {}::writeToParcel(AParcel* _aidl_parcel) const {{", name);
  source_.text(
      "  const binder_status_t _aidl_ret_status = AParcel_writeInt32(_aidl_parcel, static_cast<int32_t>(getTag()));\n"
      "  if (_aidl_ret_status != STATUS_OK) return _aidl_ret_status;\n"
      "  switch (getTag()) {");
  cases([&](const Field& field) {
    return fmt::format("return {};", ndk_write(field.type, "_aidl_parcel", fmt::format("get<Tag::{}>()", escape(field.name))));
  });
  source_.text("  }\n  return STATUS_BAD_VALUE;\n}");

  source_.blank();
  source_.line("std::string {}::toString() const {{", name);
  source_.text("  switch (getTag()) {");
  cases([&](const Field& field) {
    return fmt::format("return {} + ::ndk::internal::ToString(get<Tag::{}>()) + \"}}\";",
                       string_literal(union_type.name + "{" + field.name + ": "), escape(field.name));
  });
  source_.text("  }\n  return {};\n}");
}

void NdkDataWriter::define(const EnumDeclaration& enumeration) {
  header_.comment(enumeration.comment);
  header_.line("enum class {}{} : {} {{", deprecated_attribute(enumeration.comment), escape(enumeration.name),
               ndk_backing(enumeration.backing));
  header_.indent();
  for (const Enumerator& enumerator : enumeration.enumerators) {
    header_.comment(enumerator.comment);
    header_.line("{}{} = {},", escape(enumerator.name), attribute_behind(enumerator.comment), int64_literal(enumerator.value));
  }
  header_.outdent();
  header_.text("};");
}

void NdkDataWriter::define_to_string(const EnumDeclaration& enumeration, const std::string& name) {
  header_.blank();
  header_.line("[[nodiscard]] static inline std::string toString({} val) {{", name);
  header_.indent();
  header_.text("switch (val) {");
  header_.indent();
  std::set<int64_t> seen;
  for (const Enumerator& enumerator : enumeration.enumerators) {
    if (!seen.insert(enumerator.value).second) continue;
    header_.line("case {}::{}: return {};", name, escape(enumerator.name), string_literal(enumerator.name));
  }
  header_.line("default: return std::to_string(static_cast<{}>(val));", ndk_backing(enumeration.backing));
  header_.outdent();
  header_.text("}");
  header_.outdent();
  header_.text("}");
}

void NdkDataWriter::define_values(const EnumDeclaration& enumeration, const std::string& qualified_name) {
  header_.blank();
  header_.text("template <>");
  header_.line("inline constexpr std::array ndk::internal::enum_values<{}> = {{", qualified_name);
  for (const Enumerator& enumerator : enumeration.enumerators)
    header_.line("    {}::{},", qualified_name, escape(enumerator.name));
  header_.text("};");
}

}  // namespace adyton::aidl

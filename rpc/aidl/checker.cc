#include "rpc/aidl/checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "rpc/aidl/evaluator.h"
#include "rpc/aidl/parser.h"
#include "rpc/aidl/resolver.h"

namespace adyton::aidl {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

bool is_constant_name(std::string_view name) { return std::none_of(name.begin(), name.end(), is_lower); }

// PowerMode -> POWER_MODE_: how enumerators begin that repeat their enum's name.
std::string enumerator_prefix(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && is_upper(name[i]) && !is_upper(name[i - 1])) out += '_';
    out += is_lower(name[i]) ? static_cast<char>(name[i] - 'a' + 'A') : name[i];
  }
  return out + '_';
}

bool suppresses(const Annotations& annotations, Warning warning) {
  const Annotation* given = annotations.find("SuppressWarnings");
  const Annotation::Parameter* names = given != nullptr ? given->find("value") : nullptr;
  const auto* list = names != nullptr ? names->value.get<std::vector<Value>>() : nullptr;
  return list != nullptr && std::any_of(list->begin(), list->end(), [&](const Value& value) {
           const std::string* name = value.get<std::string>();
           return name != nullptr && *name == warning_name(warning);
         });
}

// The methods that every proxy has.
bool is_reserved(const Method& method) {
  if (method.arguments.empty()) return method.name == "asBinder" || method.name == "getInterfaceVersion" || method.name == "getInterfaceHash";
  return method.name == "getTransactionName" && method.arguments.size() == 1 && method.arguments[0].type.kind == TypeKind::kInt &&
         !method.arguments[0].type.is_array();
}

template <typename Member>
class Duplicates {
 public:
  Duplicates(Diagnostics& diagnostics, std::string_view what) : diagnostics_(diagnostics), what_(what) {}
  void add(const Member& member) {
    const auto [place, inserted] = first_.emplace(member.name, &member);
    if (inserted) return;
    diagnostics_.error(member.location, fmt::format("there are two {} named {}", what_, quote(member.name)));
    diagnostics_.note(place->second->location, "it is declared here first");
  }

 private:
  Diagnostics& diagnostics_;
  std::string_view what_;
  std::unordered_map<std::string_view, const Member*> first_;
};

}  // namespace

bool must_say_direction(const Type& type) {
  if (type.is_array() || type.kind == TypeKind::kList || type.kind == TypeKind::kMap) return true;
  return type.kind == TypeKind::kDeclared && type.declaration->as_interface() == nullptr && type.declaration->as_enum() == nullptr;
}

bool can_be_out(const Type& type) {
  return must_say_direction(type) || type.kind == TypeKind::kParcelFileDescriptor || type.kind == TypeKind::kUnresolved;
}

void Checker::warn(Warning warning, const Location& location, std::initializer_list<const Annotations*> suppressors, const Declaration& scope,
                   std::string message) {
  if (!is_input_) return;
  for (const Annotations* annotations : suppressors) {
    if (suppresses(*annotations, warning)) return;
  }
  for (const Declaration* around = &scope; around != nullptr; around = around->parent) {
    if (suppresses(around->annotations, warning)) return;
  }
  diagnostics_.warning(warning, location, std::move(message));
}

void Checker::check(const Document& document) {
  is_input_ = document.is_input;
  for (const auto& declaration : document.declarations) check(*declaration);
}

void Checker::check(const Declaration& declaration) {
  if (builtin_type(declaration.name) != TypeKind::kUnresolved) {
    diagnostics_.error(declaration.location, fmt::format("{} is a type of AIDL's own", quote(declaration.name)));
  } else if (declaration.kind != Declaration::Kind::kUnstructured && declaration.name.find('.') != std::string::npos) {
    diagnostics_.error(declaration.location, "the name of a type has no dots: its package is in the file's package line");
  }
  if (declaration.parent != nullptr && declaration.parent->name == declaration.name) {
    diagnostics_.error(declaration.location, fmt::format("{} has the name of the type it is nested in", quote(declaration.name)));
  }
  check_stability(declaration);
  switch (declaration.kind) {
    case Declaration::Kind::kInterface: check(*declaration.as_interface()); break;
    case Declaration::Kind::kParcelable:
      check_constants(declaration.as_parcelable()->constants, declaration);
      check_fields(declaration.as_parcelable()->fields, declaration);
      break;
    case Declaration::Kind::kUnion:
      check_constants(declaration.as_union()->constants, declaration);
      check_fields(declaration.as_union()->fields, declaration);
      if (declaration.as_union()->fields.empty()) {
        diagnostics_.error(declaration.location, fmt::format("union {} has no fields", quote(declaration.name)));
      }
      break;
    case Declaration::Kind::kEnum: check(*declaration.as_enum()); break;
    case Declaration::Kind::kUnstructured: {
      const Annotations& given = declaration.annotations;
      const bool allowed = given.has("JavaOnlyStableParcelable") || given.has("NdkOnlyStableParcelable") || given.has("RustOnlyStableParcelable");
      if (options_.structured && is_input_ && !allowed) {
        diagnostics_.error(declaration.location, fmt::format("parcelable {} has no body, but --structured asks for one", quote(declaration.name)));
      } else if (options_.no_unstructured && is_input_) {
        diagnostics_.error(declaration.location, fmt::format("parcelable {} has no body: with -b nothing is generated for it", quote(declaration.name)));
      }
      break;
    }
  }
  for (const auto& nested : declaration.nested) check(*nested);
}

void Checker::check_stability(const Declaration& declaration) {
  if (!is_input_ || options_.language == Language::kNone) return;
  if (options_.vintf && !declaration.vintf_stability()) {
    diagnostics_.error(declaration.location, fmt::format("{} {} is not @VintfStability, but --stability=vintf asks for it", declaration.kind_name(),
                                                         quote(declaration.name)));
  }
  const Annotation* vintf = declaration.annotations.find("VintfStability");
  if (!options_.vintf && vintf != nullptr) {
    diagnostics_.error(vintf->location, fmt::format("{} is @VintfStability: compile it with --stability=vintf", quote(declaration.name)));
  }
}

void Checker::check_member_name(std::string_view name, const Location& location, const Declaration& owner) {
  if (name.starts_with("_aidl")) diagnostics_.error(location, fmt::format("{} begins with '_aidl', which is for generated code", quote(name)));
  const auto [place, inserted] = nested_names_.try_emplace(&owner);
  if (inserted) {
    for (const auto& nested : owner.nested) place->second.insert(nested->name);
  }
  if (place->second.contains(name)) {
    diagnostics_.error(location, fmt::format("{} is also the name of a type nested in {}", quote(name), quote(owner.name)));
  }
}

void Checker::check(const InterfaceDeclaration& interface) {
  if (interface.name.size() < 2 || interface.name[0] != 'I' || !is_upper(interface.name[1])) {
    warn(Warning::kInterfaceName, interface.location, {}, interface, fmt::format("the name of interface {} does not begin with I", quote(interface.name)));
  }
  check_constants(interface.constants, interface);
  Duplicates<Method> names(diagnostics_, "methods");
  std::unordered_map<std::string, const Method*> lower_names;
  const auto is_oneway = [](const Method& method) { return method.oneway; };
  const size_t oneways = static_cast<size_t>(std::count_if(interface.methods.begin(), interface.methods.end(), is_oneway));
  for (const Method& method : interface.methods) {
    names.add(method);
    const auto [place, inserted] = lower_names.emplace(lower(method.name), &method);
    if (!inserted && place->second->name != method.name) {
      warn(Warning::kUniqueMethodNames, method.location, {&method.annotations}, interface,
           fmt::format("methods {} and {} differ only in case", quote(place->second->name), quote(method.name)));
    }
    check(method, interface);
  }
  if (!interface.oneway && oneways != 0 && oneways != interface.methods.size()) {
    warn(Warning::kMixedOneway, interface.location, {}, interface,
         fmt::format("interface {} has oneway methods and others", quote(interface.name)));
  }
  check_ids(interface);
}

void Checker::check_ids(const InterfaceDeclaration& interface) {
  const auto has_id = [](const Method& method) { return method.explicit_id.has_value(); };
  const auto with = std::find_if(interface.methods.begin(), interface.methods.end(), has_id);
  const auto without = std::find_if_not(interface.methods.begin(), interface.methods.end(), has_id);
  if (with == interface.methods.end()) return;
  if (without != interface.methods.end()) {
    diagnostics_.error(without->location, fmt::format("method {} has no id, but others have: all or none", quote(without->name)));
    diagnostics_.note(with->location, fmt::format("{} has one", quote(with->name)));
    return;
  }
  std::unordered_map<uint32_t, const Method*> ids;
  for (const Method& method : interface.methods) {
    if (method.id == kNoMethodId) continue;
    const auto [place, inserted] = ids.emplace(method.id, &method);
    if (inserted) continue;
    diagnostics_.error(method.explicit_id->location, fmt::format("methods {} and {} have the same id {}", quote(place->second->name), quote(method.name), method.id));
    diagnostics_.note(place->second->explicit_id->location, "it is used here first");
  }
}

void Checker::check(const Method& method, const InterfaceDeclaration& interface) {
  check_member_name(method.name, method.location, interface);
  if (is_reserved(method)) diagnostics_.error(method.location, fmt::format("method {} is one that every interface has", quote(method.name)));
  check(method.result, Use::kResult, interface);
  const bool oneway = method.oneway || interface.oneway;
  if (method.oneway && interface.oneway) {
    warn(Warning::kRedundantOneway, method.location, {&method.annotations}, interface,
         fmt::format("method {} is oneway because its interface is", quote(method.name)));
  }
  if (oneway && !method.result.is_void()) {
    diagnostics_.error(method.result.location, fmt::format("oneway method {} cannot have a result", quote(method.name)));
  }
  Duplicates<Argument> names(diagnostics_, "arguments");
  for (const Argument& argument : method.arguments) {
    names.add(argument);
    if (oneway && argument.is_out()) {
      diagnostics_.error(argument.location, fmt::format("oneway method {} cannot have an out argument", quote(method.name)));
    }
    check(argument, method, interface);
  }
}

void Checker::check(const Argument& argument, const Method& method, const InterfaceDeclaration& interface) {
  check_member_name(argument.name, argument.location, interface);
  const Type& type = argument.type;
  check(type, Use::kArgument, interface);
  if (type.kind == TypeKind::kUnresolved) return;
  if (!argument.direction_given && must_say_direction(type)) {
    diagnostics_.error(type.location, fmt::format("argument {} of type {} needs a direction: in, out or inout", quote(argument.name), quote(type.to_string(false))));
  } else if (argument.is_out() && !can_be_out(type)) {
    diagnostics_.error(type.location, fmt::format("argument {} of type {} can only be in", quote(argument.name), quote(type.to_string(false))));
  }
  if (!argument.is_out()) return;
  if (type.kind == TypeKind::kDeclared && !type.is_array() && type.declaration->annotations.has("JavaOnlyImmutable")) {
    diagnostics_.error(type.location, fmt::format("argument {} can only be in: {} is @JavaOnlyImmutable", quote(argument.name), quote(type.to_string(false))));
  }
  if (argument.direction == Argument::Direction::kInOut) {
    warn(Warning::kInoutParameter, argument.location, {&method.annotations, &type.annotations}, interface,
         fmt::format("argument {} is inout: what travels back may surprise callers", quote(argument.name)));
  }
  if (type.is_dynamic_array() && !argument.is_in()) {
    warn(Warning::kOutArray, argument.location, {&method.annotations, &type.annotations}, interface,
         fmt::format("argument {} is an out array: return it, if there is one result", quote(argument.name)));
  }
  if (type.nullable) {
    warn(Warning::kOutNullable, argument.location, {&method.annotations, &type.annotations}, interface,
         fmt::format("argument {} is {} and may be null", quote(argument.name), argument.is_in() ? "inout" : "out"));
  }
}

void Checker::check(const EnumDeclaration& enumeration) {
  if (enumeration.enumerators.empty()) diagnostics_.error(enumeration.location, fmt::format("enum {} has no enumerators", quote(enumeration.name)));
  Duplicates<Enumerator> names(diagnostics_, "enumerators");
  const std::string prefix = enumerator_prefix(enumeration.name);
  for (const Enumerator& enumerator : enumeration.enumerators) {
    names.add(enumerator);
    check_member_name(enumerator.name, enumerator.location, enumeration);
    if (enumerator.name.starts_with(prefix)) {
      warn(Warning::kRedundantName, enumerator.location, {&enumerator.annotations}, enumeration,
           fmt::format("enumerator {} repeats the name of its enum", quote(enumerator.name)));
    }
    if (!is_constant_name(enumerator.name)) {
      warn(Warning::kConstName, enumerator.location, {&enumerator.annotations}, enumeration, fmt::format("enumerator {} is not in UPPER_CASE", quote(enumerator.name)));
    }
  }
}

void Checker::check_constants(const std::vector<Constant>& constants, const Declaration& owner) {
  Duplicates<Constant> names(diagnostics_, "constants");
  for (const Constant& constant : constants) {
    names.add(constant);
    check_member_name(constant.name, constant.location, owner);
    check(constant.type, Use::kConstant, owner);
    if (!is_constant_name(constant.name)) {
      warn(Warning::kConstName, constant.location, {&constant.annotations}, owner, fmt::format("constant {} is not in UPPER_CASE", quote(constant.name)));
    }
  }
}

void Checker::check_fields(const std::vector<Field>& fields, const Declaration& owner) {
  Duplicates<Field> names(diagnostics_, "fields");
  std::unordered_map<std::string, std::string_view> capitalised;
  std::unordered_set<std::string_view> constants;
  for (const Constant& constant : owner.as_union() != nullptr ? owner.as_union()->constants : owner.as_parcelable()->constants) constants.insert(constant.name);
  for (const Field& field : fields) {
    names.add(field);
    check_member_name(field.name, field.location, owner);
    if (constants.contains(field.name)) diagnostics_.error(field.location, fmt::format("{} is also the name of a constant", quote(field.name)));
    check(field.type, owner.as_union() != nullptr ? Use::kUnionField : Use::kField, owner);
    // Its getter, in Java: getName for name and Name.
    if (owner.annotations.has("JavaOnlyImmutable")) {
      std::string capital = field.name;
      if (is_lower(capital[0])) capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
      const auto [first, inserted] = capitalised.emplace(capital, field.name);
      if (!inserted && first->second != field.name) {
        diagnostics_.error(field.location, fmt::format("there are two fields named {} in a @JavaOnlyImmutable {} once their first letter is capital",
                                                       quote(capital), owner.kind_name()));
      }
    }
    const EnumDeclaration* enumeration = field.type.kind == TypeKind::kDeclared && !field.type.is_array() ? field.type.declaration->as_enum() : nullptr;
    if (enumeration != nullptr && field.expression.empty() && owner.as_union() == nullptr && is_input_ &&
        std::none_of(enumeration->enumerators.begin(), enumeration->enumerators.end(), [](const Enumerator& one) { return one.value == 0; })) {
      warn(Warning::kEnumExplicitDefault, field.location, {&field.annotations}, owner,
           fmt::format("field {} has no default, and 0 is no enumerator of {}", quote(field.name), quote(enumeration->name)));
    }
  }
  check_recursion(owner);
  if (owner.annotations.has("FixedSize")) check_fixed_size(owner, fields);
}

}  // namespace adyton::aidl

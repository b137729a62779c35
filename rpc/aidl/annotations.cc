#include "rpc/aidl/annotations.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "rpc/aidl/parser.h"

namespace adyton::aidl {
namespace {

constexpr uint32_t kInterface = 1;
constexpr uint32_t kParcelable = 2;
constexpr uint32_t kUnstructured = 4;
constexpr uint32_t kUnion = 8;
constexpr uint32_t kEnum = 16;
constexpr uint32_t kField = 32;
constexpr uint32_t kMethod = 64;
constexpr uint32_t kConstant = 128;
constexpr uint32_t kEnumerator = 256;
constexpr uint32_t kValueType = 512;     // of a field, argument, result
constexpr uint32_t kConstantType = 1024;
constexpr uint32_t kDeclaration = kInterface | kParcelable | kUnstructured | kUnion | kEnum;
constexpr uint32_t kMember = kField | kMethod | kConstant | kEnumerator;
constexpr uint32_t kEverywhere = kDeclaration | kMember | kValueType | kConstantType;

struct Schema {
  std::string_view name;
  uint32_t places;
  // "name:type" apart by spaces; "!" behind the type: it must be given.
  std::string_view parameters;
  bool repeatable = false;
};

constexpr std::array<Schema, 26> kSchemas = {{
    {"nullable", kValueType, "heap:boolean"},
    {"utf8InCpp", kValueType | kConstantType, ""},
    {"VintfStability", kDeclaration, ""},
    {"UnsupportedAppUsage", kDeclaration | kMember | kValueType,
     "expectedSignature:String implicitMember:String maxTargetSdk:int publicAlternatives:String trackingBug:long"},
    {"JavaOnlyStableParcelable", kUnstructured, ""},
    {"NdkOnlyStableParcelable", kUnstructured, ""},
    {"RustOnlyStableParcelable", kUnstructured, ""},
    {"Hide", kDeclaration | kMember | kValueType, ""},
    {"Backing", kEnum, "type:String!"},
    {"JavaPassthrough", kEverywhere, "annotation:String!", true},
    {"JavaDerive", kParcelable | kUnion | kEnum, "equals:boolean toString:boolean"},
    {"JavaDefault", kInterface, ""},
    {"JavaDelegator", kInterface, ""},
    {"JavaOnlyImmutable", kParcelable | kUnion | kUnstructured, ""},
    {"JavaSuppressLint", kDeclaration | kMember, "value:String[]!"},
    {"FixedSize", kParcelable | kUnion, ""},
    {"Descriptor", kInterface, "value:String!"},
    {"RustDerive", kParcelable | kUnion,
     "Copy:boolean Clone:boolean PartialOrd:boolean Ord:boolean PartialEq:boolean Eq:boolean Hash:boolean"},
    {"SuppressWarnings", kDeclaration | kMember, "value:String[]!"},
    {"EnforcePermission", kInterface | kMethod, "value:String anyOf:String[] allOf:String[]"},
    {"PermissionManuallyEnforced", kInterface | kMethod, ""},
    {"RequiresNoPermission", kInterface | kMethod, ""},
    {"PropagateAllowBlocking", kMethod, ""},
    {"SensitiveData", kInterface, ""},
    {"Deprecated", kDeclaration | kMember, ""},
    {"JavaDebug", kParcelable, ""},
}};

const Schema* find_schema(std::string_view name) {
  const auto found = std::find_if(kSchemas.begin(), kSchemas.end(), [&](const Schema& schema) { return schema.name == name; });
  return found == kSchemas.end() ? nullptr : &*found;
}

std::string_view place_name(uint32_t place) {
  switch (place) {
    case kInterface: return "an interface";
    case kParcelable: return "a structured parcelable";
    case kUnstructured: return "an unstructured parcelable";
    case kUnion: return "a union";
    case kEnum: return "an enum";
    case kField: return "a field";
    case kMethod: return "a method";
    case kConstant: return "a constant";
    case kEnumerator: return "an enumerator";
    case kValueType: return "a type";
    default: return "the type of a constant";
  }
}

// @Deprecated says what the tag in the comment says.
void deprecate(const Annotations& annotations, Comment& comment) {
  if (!comment.deprecated && annotations.has("Deprecated")) comment.deprecated.emplace();
}

Type parameter_type(std::string_view name) {
  Type type;
  if (name.ends_with("[]")) {
    type.dimensions.emplace_back();
    name.remove_suffix(2);
  }
  type.name = name;
  type.kind = name == "boolean" ? TypeKind::kBoolean : name == "int" ? TypeKind::kInt : name == "long" ? TypeKind::kLong : TypeKind::kString;
  return type;
}

}  // namespace

void AnnotationChecker::check_parameters(Annotation& annotation, std::string_view parameters) {
  size_t known = 0;
  std::string names;
  while (!parameters.empty()) {
    const std::string_view entry = parameters.substr(0, parameters.find(' '));
    parameters.remove_prefix(std::min(entry.size() + 1, parameters.size()));
    const size_t colon = entry.find(':');
    const std::string_view name = entry.substr(0, colon);
    std::string_view type = entry.substr(colon + 1);
    const bool required = type.ends_with('!');
    if (required) type.remove_suffix(1);
    names += names.empty() ? "" : ", ";
    names += name;
    const auto given = std::find_if(annotation.parameters.begin(), annotation.parameters.end(),
                                    [&](const Annotation::Parameter& parameter) { return parameter.name == name; });
    if (given != annotation.parameters.end()) {
      ++known;
      given->value = evaluator_.evaluate(given->expression, parameter_type(type));
    } else if (required) {
      diagnostics_.error(annotation.location, fmt::format("@{} needs its parameter '{}'", annotation.name, name));
    }
  }
  if (known == annotation.parameters.size()) return;
  for (const Annotation::Parameter& parameter : annotation.parameters) {
    if (parameter.value.known() || (", " + names + ", ").find(", " + parameter.name + ", ") != std::string::npos) continue;
    diagnostics_.error(parameter.location, names.empty() ? fmt::format("@{} has no parameters", annotation.name)
                                                         : fmt::format("@{} has no parameter {}, but: {}", annotation.name, quote(parameter.name), names));
  }
}

void AnnotationChecker::check(Annotations& annotations, Place place) {
  for (size_t i = 0; i < annotations.list.size(); ++i) {
    Annotation& annotation = annotations.list[i];
    const Schema* schema = find_schema(annotation.name);
    if (schema == nullptr) {
      diagnostics_.error(annotation.location, fmt::format("@{} is not an annotation of AIDL", annotation.name.substr(0, 80)));
      continue;
    }
    if ((schema->places & place) == 0) {
      diagnostics_.error(annotation.location, fmt::format("@{} does not belong on {}", annotation.name, place_name(place)));
      continue;
    }
    const auto first = std::find_if(annotations.list.begin(), annotations.list.end(),
                                    [&](const Annotation& earlier) { return earlier.name == annotation.name; });
    if (!schema->repeatable && &*first != &annotation) {
      diagnostics_.error(annotation.location, fmt::format("@{} is given twice", annotation.name));
      diagnostics_.note(first->location, "it is given here first");
      continue;
    }
    check_parameters(annotation, schema->parameters);
    if (annotation.name == "EnforcePermission" && annotation.parameters.size() > 1) {
      diagnostics_.error(annotation.location, "@EnforcePermission takes one of 'value', 'anyOf' and 'allOf'");
    }
    if (annotation.name != "SuppressWarnings") continue;
    const Annotation::Parameter* names = annotation.find("value");
    const auto* list = names != nullptr ? names->value.get<std::vector<Value>>() : nullptr;
    for (const Value& name : list != nullptr ? *list : std::vector<Value>()) {
      const std::string* text = name.get<std::string>();
      if (text == nullptr || find_warning(*text)) continue;
      diagnostics_.warning(Warning::kUnknownWarning, names->expression.location, fmt::format("there is no warning {}", quote(*text)));
    }
  }
}

void AnnotationChecker::check(Type& type, Place place) {
  check(type.annotations, place);
  for (Type& argument : type.arguments) check(argument, place);
  if (const Annotation* nullable = type.annotations.find("nullable")) {
    type.nullable = true;
    const Annotation::Parameter* heap = nullable->find("heap");
    const bool* on_heap = heap != nullptr ? heap->value.get<bool>() : nullptr;
    type.nullable_heap = on_heap != nullptr && *on_heap;
  }
  type.utf8_in_cpp = type.annotations.has("utf8InCpp");
}

void AnnotationChecker::check(EnumDeclaration& enumeration) {
  for (Enumerator& enumerator : enumeration.enumerators) {
    check(enumerator.annotations, kEnumerator);
    deprecate(enumerator.annotations, enumerator.comment);
  }
  const Annotation* backing = enumeration.annotations.find("Backing");
  if (backing == nullptr) return;
  const std::string type = backing->string_of("type");
  if (type == "byte" || type == "int" || type == "long") {
    enumeration.backing = type == "byte" ? TypeKind::kByte : type == "int" ? TypeKind::kInt : TypeKind::kLong;
  } else if (backing->find("type") != nullptr && backing->find("type")->value.known()) {
    diagnostics_.error(backing->location, fmt::format("an enum is backed by 'byte', 'int' or 'long', not by {}", quote(type)));
  }
}

void AnnotationChecker::check(Declaration& declaration) {
  const auto check_fields = [&](std::vector<Field>& fields) {
    for (Field& field : fields) {
      check(field.annotations, kField);
      deprecate(field.annotations, field.comment);
      check(field.type, kValueType);
    }
  };
  const auto check_constants = [&](std::vector<Constant>& constants) {
    for (Constant& constant : constants) {
      check(constant.annotations, kConstant);
      deprecate(constant.annotations, constant.comment);
      check(constant.type, kConstantType);
    }
  };
  switch (declaration.kind) {
    case Declaration::Kind::kInterface: {
      check(declaration.annotations, kInterface);
      auto& interface = static_cast<InterfaceDeclaration&>(declaration);
      check_constants(interface.constants);
      for (Method& method : interface.methods) {
        check(method.annotations, kMethod);
        deprecate(method.annotations, method.comment);
        check(method.result, kValueType);
        for (Argument& argument : method.arguments) check(argument.type, kValueType);
      }
      break;
    }
    case Declaration::Kind::kParcelable:
      check(declaration.annotations, kParcelable);
      check_constants(static_cast<ParcelableDeclaration&>(declaration).constants);
      check_fields(static_cast<ParcelableDeclaration&>(declaration).fields);
      break;
    case Declaration::Kind::kUnion:
      check(declaration.annotations, kUnion);
      check_constants(static_cast<UnionDeclaration&>(declaration).constants);
      check_fields(static_cast<UnionDeclaration&>(declaration).fields);
      break;
    case Declaration::Kind::kEnum:
      check(declaration.annotations, kEnum);
      check(static_cast<EnumDeclaration&>(declaration));
      break;
    case Declaration::Kind::kUnstructured: check(declaration.annotations, kUnstructured); break;
  }
  deprecate(declaration.annotations, declaration.comment);
  for (const auto& nested : declaration.nested) check(*nested);
}

void AnnotationChecker::check(Document& document) {
  for (const auto& declaration : document.declarations) check(*declaration);
}

}  // namespace adyton::aidl

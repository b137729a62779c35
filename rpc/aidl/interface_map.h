// What a program that sees calls on the wire needs to know to read them: names of methods, and types of arguments, results and
// fields, as JSON. (tools/wireshark reads it.)
//
//   {"interfaces": {"DESCRIPTOR": {"name": "com.example.IFoo", "methods": {"CODE": {"name": "add", "oneway": false, "result": "long",
//      "arguments": [{"name": "a", "direction": "in", "type": "long"}]}}}},
//    "types": {"com.example.IFoo": {"kind": "interface"},
//              "com.example.Point": {"kind": "parcelable", "fields": [{"name": "x", "type": "int"}]},
//              "com.example.Either": {"kind": "union", "fields": [...]},
//              "com.example.Color": {"kind": "enum", "backing": "int", "values": {"0": "RED"}},
//              "com.example.Native": {"kind": "unstructured"}}}
//
// Types are in AIDL's syntax, with qualified names and without annotations: "com.example.Point[]", "List<String>".
#pragma once
#include <string>
#include <vector>

#include "rpc/aidl/ast.h"
#include "rpc/aidl/backend.h"

namespace adyton::aidl {

// Everything that these documents declare: those compiled, and those that they import.
[[nodiscard]] std::string interface_map(const std::vector<const Document*>& documents, const BackendOptions& options);

}  // namespace adyton::aidl

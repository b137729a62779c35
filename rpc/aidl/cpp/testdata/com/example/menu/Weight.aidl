package com.example.menu;

parcelable Weight cpp_header "rpc/aidl/cpp/testdata/weight.h" ndk_header "rpc/aidl/ndk/testdata/weight.h";

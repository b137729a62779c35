package com.example.all;
@NdkOnlyStableParcelable parcelable Foreign ndk_header "foreign.h";
parcelable Another;
@JavaOnlyImmutable @JavaOnlyStableParcelable parcelable Third cpp_header "third.h";

package com.example.menu;

/** Something with a label on it. */
parcelable Box<T> {
    String label;
    T content;
    List<T> others;
}

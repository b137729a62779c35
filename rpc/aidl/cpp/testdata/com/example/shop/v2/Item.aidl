package com.example.shop.v2;

parcelable Item {
    String name;
    int price;
    String currency = "EUR";
    @nullable int[] sizes;
}
